package mfanotify

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-1320b244/mfa"
)

// FormPostConfig wires a FormPost. URL, Words and Authorize are required.
type FormPostConfig struct {
	// URL is where messages are posted: https, or http on loopback.
	URL string
	// Words makes the text.
	Words *Words
	// Authorize puts the credentials into a request. See BasicAuth and BearerToken.
	Authorize func(*http.Request)
	// From is the sender's number or name. Empty: the field is not sent.
	From string
	// ToField, FromField and BodyField are the names of the form's fields. Empty: To,
	// From and Body.
	ToField, FromField, BodyField string
	// Fields are further fields, the same for each message.
	Fields url.Values
	// KeyHeader is the header with the id of the delivery, equal over all tries, by
	// which a gateway that knows it sends one message for several posts. Empty:
	// Idempotency-Key. A gateway that does not know it may send two.
	KeyHeader string
	// Tries is how often a message is posted while the context lasts. Zero: 3. 1 to
	// 10.
	Tries int
	// Timeout bounds a message, tries and all, besides the context. Zero: 10 seconds.
	// 100 ms to 1 minute.
	Timeout time.Duration
	// Transport makes the requests. Nil: http.DefaultTransport.
	Transport http.RoundTripper
}

// BasicAuth returns a FormPostConfig.Authorize with a user name and a password,
// such as the account and the token of Twilio.
func BasicAuth(user, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(user, password) }
}

// BearerToken returns a FormPostConfig.Authorize with a token (RFC 6750).
func BearerToken(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

// FormPost is a Notifier that posts text messages as a form to a gateway, in the
// shape that Twilio made common. It follows no redirect: one would carry the code
// to a place that nobody configured. Safe for concurrent use.
type FormPost struct {
	c      FormPostConfig
	url    *url.URL
	client *http.Client
}

// NewFormPost checks c and returns a FormPost. Its error wraps mfa.ErrInvalid and
// names every field that is missing or unsafe.
func NewFormPost(c FormPostConfig) (*FormPost, error) {
	var errs []error
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "":
		errs = append(errs, errors.New("FormPostConfig.URL is no address of a server"))
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		errs = append(errs, errors.New("FormPostConfig.URL is not https"))
	case u.User != nil:
		errs = append(errs, errors.New("FormPostConfig.URL has credentials: see FormPostConfig.Authorize"))
	}
	if c.Words == nil {
		errs = append(errs, errors.New("FormPostConfig.Words is missing"))
	}
	if c.Authorize == nil {
		errs = append(errs, errors.New("FormPostConfig.Authorize is missing"))
	}
	errs = append(errs,
		resolve("FormPostConfig.Tries", &c.Tries, 3, 1, 10),
		resolve("FormPostConfig.Timeout", &c.Timeout, 10*time.Second, 100*time.Millisecond, time.Minute))
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%w: %w", mfa.ErrInvalid, err)
	}
	for _, name := range []struct {
		field *string
		zero  string
	}{{&c.ToField, "To"}, {&c.FromField, "From"}, {&c.BodyField, "Body"}, {&c.KeyHeader, "Idempotency-Key"}} {
		if *name.field == "" {
			*name.field = name.zero
		}
	}
	fields := make(url.Values, len(c.Fields)+3)
	maps.Copy(fields, c.Fields)
	c.Fields = fields
	if c.From != "" {
		c.Fields.Set(c.FromField, c.From)
	}
	return &FormPost{c: c, url: u, client: &http.Client{
		Transport:     c.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// loopback reports whether host is this machine, by address or by the name that
// RFC 6761 section 6.3 reserves for it.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// Notify posts m and returns nil once the gateway has accepted it, which says
// nothing about the telephone. It tries again after a network error, a status of
// 500 and up, 429 and 408, as long as ctx lasts. Its error is a *DeliveryError.
func (p *FormPost) Notify(ctx context.Context, m mfa.Message) error {
	if m.Channel != mfa.SMSCode {
		return &DeliveryError{Step: fmt.Sprintf("channel %q", m.Channel), Permanent: true}
	}
	body, err := p.c.Words.SMS(m)
	if err != nil {
		return &DeliveryError{Step: "words", Permanent: true, Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, p.c.Timeout)
	defer cancel()
	form := maps.Clone(p.c.Fields)
	form.Set(p.c.ToField, m.To)
	form.Set(p.c.BodyField, body)
	id := Delivery(ctx)
	for try := 1; ; try++ {
		wait, err := p.post(ctx, form, id, m)
		switch {
		case err == nil:
			return nil
		case !again(err.Status), try >= p.c.Tries, !pause(ctx, max(wait, backoff(try))):
			return err
		}
	}
}

// again reports whether a post with this outcome, 0 for none, is tried again.
func again(status int) bool {
	return status == 0 || status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

// final reports whether the gateway refused this message for ever. What a wrong
// password, URL or proxy does is mended while a notice waits.
func final(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusProxyAuthRequired:
		return false
	}
	return 400 <= status && !again(status)
}

// backoff is 200 ms, doubled with each try, give or take a half, so that not all
// come back at once.
func backoff(try int) time.Duration {
	d := 200 * time.Millisecond << (try - 1)
	return d/2 + rand.N(d)
}

// pause waits for d, and reports false at once when ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// post makes one request. Its first result is how long the gateway wants to be
// left alone.
func (p *FormPost) post(ctx context.Context, form url.Values, id string, m mfa.Message) (time.Duration, *DeliveryError) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return 0, &DeliveryError{Step: "POST", Permanent: true, Err: errors.New("no request can be made")}
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	r.Header.Set(p.c.KeyHeader, id)
	p.c.Authorize(r)
	res, err := p.client.Do(r)
	if err != nil {
		return 0, &DeliveryError{Step: "POST", Err: network(ctx, err)}
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	switch {
	case res.StatusCode >= 200 && res.StatusCode < 300:
		return 0, nil // accepted, whatever became of the rest of the answer
	case err != nil:
		answer = nil
	}
	refused := &DeliveryError{Step: "POST", Status: res.StatusCode, Permanent: final(res.StatusCode)}
	hide := append(secrets(r), m.Code(), m.Token(), form.Get(p.c.ToField), form.Get(p.c.BodyField))
	refused.Code, refused.Detail = detail(answer, append(hide, strings.Split(form.Get(p.c.BodyField), "\n")...))
	after, _ := strconv.Atoi(res.Header.Get("Retry-After"))
	return time.Duration(min(max(after, 0), 3600)) * time.Second, refused
}

// maxAnswer is how much of an answer is read: gateways send some hundred bytes.
const maxAnswer = 16 << 10

// network returns what is safe of an error of http.Client: *url.Error quotes the
// URL, in which some gateways want a key.
func network(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return fmt.Errorf("%T", err)
}

// secrets returns the credentials of r, in every form that an answer may quote.
func secrets(r *http.Request) []string {
	out := []string{r.URL.RawQuery}
	for _, v := range r.URL.Query() {
		out = append(out, v...)
	}
	for _, values := range r.Header {
		for _, v := range values {
			if v == "application/json" || v == "application/x-www-form-urlencoded" {
				continue
			}
			out = append(out, v)
			out = append(out, strings.Fields(v)...)
		}
	}
	if user, password, ok := r.BasicAuth(); ok {
		out = append(out, password, user, base64.StdEncoding.EncodeToString([]byte(password)))
	}
	return out
}

// detail finds the number and the sentence in a gateway's answer: "code" and
// "message" of a JSON object, else the beginning. What it quotes of the request is
// taken out; every digit is masked, since a number may be written in any way.
func detail(answer []byte, secret []string) (code, text string) {
	var object struct {
		Code    json.Number `json:"code"`
		Message string      `json:"message"`
	}
	if json.Unmarshal(answer, &object) == nil {
		code, text = object.Code.String(), object.Message
	} else {
		text = string(answer)
	}
	slices.SortFunc(secret, func(a, b string) int { return len(b) - len(a) }) // a part of another must not break that up
	for _, s := range secret {
		if len(s) < 3 {
			continue // no secret, and in every word
		}
		text = strings.ReplaceAll(text, s, "…")
		if strings.Contains(s, code) || strings.Contains(code, s) {
			code = ""
		}
	}
	if len(code) > 5 || word(code) != code { // a code of a user has 6 digits
		code = ""
	}
	masked := strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return '#'
		}
		return r
	}, text)
	return code, label(masked, maxDetail)
}

const maxDetail = 200 // code points of a gateway's sentence
