package mfanotify_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfanotify"
)

// TestByChannel checks who gets what, and that nobody gets what is left.
func TestByChannel(t *testing.T) {
	mail, sms := &carrier{}, &carrier{}
	both := mfanotify.ByChannel{Mail: mail, SMS: sms}
	for _, channel := range []mfa.Method{mfa.EmailCode, mfa.SMSCode} {
		if err := both.Notify(t.Context(), message("new_device", channel, "en")); err != nil {
			t.Error(err)
		}
	}
	if len(mail.seen()) != 1 || len(sms.seen()) != 1 || mail.seen()[0].message.Channel != mfa.EmailCode {
		t.Errorf("%d mails, %d text messages", len(mail.seen()), len(sms.seen()))
	}
	for _, c := range []struct {
		to      mfanotify.ByChannel
		channel mfa.Method
	}{{both, 0}, {both, mfa.TOTP}, {mfanotify.ByChannel{Mail: mail}, mfa.SMSCode}, {mfanotify.ByChannel{SMS: sms}, mfa.EmailCode}} {
		err := c.to.Notify(t.Context(), message("new_device", c.channel, "en"))
		if e, ok := errors.AsType[*mfanotify.DeliveryError](err); !ok || !e.Permanent {
			t.Errorf("%v: %v", c.channel, err)
		}
	}
}

// TestInsecureLog checks that a developer finds the code, and a warning.
func TestInsecureLog(t *testing.T) {
	var log bytes.Buffer
	n := mfanotify.InsecureLog(slog.New(slog.NewTextHandler(&log, nil)))
	if err := n.Notify(t.Context(), message(mfa.MessageCode, mfa.SMSCode, "en")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"level=WARN", "InsecureLog is for development", "kind=code", "channel=sms_code", "to=+351912345678", "code=" + code} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in %s", want, log.String())
		}
	}
}

func TestDelivery(t *testing.T) {
	ctx := mfanotify.WithDelivery(t.Context())
	id := mfanotify.Delivery(ctx)
	if id != mfanotify.Delivery(ctx) || len(id) != 26 {
		t.Errorf("%q is not one id", id)
	}
	other := mfanotify.Delivery(t.Context())
	if id == mfanotify.Delivery(mfanotify.WithDelivery(ctx)) || other == mfanotify.Delivery(t.Context()) {
		t.Error("two deliveries have one id")
	}
}

func TestDeliveryError(t *testing.T) {
	err := &mfanotify.DeliveryError{Step: "POST", Status: 400, Code: "21211", Detail: "no such number", Err: context.Canceled}
	if got, want := err.Error(), `mfanotify: not delivered: POST 400 (21211): "no such number": context canceled`; got != want {
		t.Errorf("%s", got)
	}
	if !errors.Is(err, context.Canceled) {
		t.Error("does not wrap what is underneath")
	}
}
