package mfanotify

import (
	"errors"
	"fmt"
	"strconv"
)

// A DeliveryError says why a message was not delivered, in what may be logged: it
// holds no code, no body, no destination and no credential, and quotes what
// a server said only where all digits of it are masked.
type DeliveryError struct {
	// Step is what failed, such as "RCPT" or "POST".
	Step string
	// Status is the server's answer: of HTTP, such as 429, or of SMTP, such as 550.
	// 0: there was none.
	Status int
	// Code is what the server says besides: a number of the gateway's own, or an
	// enhanced status code of RFC 3463 such as "5.1.1". "" for none.
	Code string
	// Detail is a sentence of the server, or "".
	Detail string
	// Permanent says that trying again is in vain.
	Permanent bool
	// Err is the error underneath, such as context.DeadlineExceeded or a
	// *net.OpError, nil when the server refused.
	Err error
}

func (e *DeliveryError) Error() string {
	s := "mfanotify: not delivered: " + e.Step
	if e.Status != 0 {
		s += " " + strconv.Itoa(e.Status)
	}
	if e.Code != "" {
		s += " (" + e.Code + ")"
	}
	if e.Detail != "" {
		s += fmt.Sprintf(": %q", e.Detail)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *DeliveryError) Unwrap() error { return e.Err }

// permanent reports whether trying again is in vain. An error of a Notifier that
// says nothing about it is taken for a passing one.
func permanent(err error) bool {
	e, ok := errors.AsType[*DeliveryError](err)
	return ok && e.Permanent
}
