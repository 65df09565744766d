package breach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// maxBody bounds an answer, after decompression. Those of Have I Been Pwned have
// about 40 KB.
const maxBody = 1 << 20

// Options configure a Client. The zero Options are those for Have I Been Pwned.
type Options struct {
	// BaseURL is the service, without "/range/…": https, or http to a loopback
	// address. Over plain http anybody between could say that a password has not
	// leaked. Zero: https://api.pwnedpasswords.com.
	BaseURL string
	// Transport sends the requests, to a proxy for example. Nil:
	// http.DefaultTransport, which honors HTTPS_PROXY.
	Transport http.RoundTripper
	// Timeout bounds a whole lookup: a user waits for it. Zero: 3 s. At most 30 s.
	Timeout time.Duration
}

// A Client asks a range service. The service learns the first 20 bits of a SHA-1,
// which about one in a million passwords shares, and the time; with padding, who
// watches the encrypted line does not learn which range was asked for. It is safe
// for concurrent use.
type Client struct {
	base    string
	timeout time.Duration
	http    http.Client
}

// NewClient returns a Client, or an error that names the field that is wrong.
func NewClient(o Options) (*Client, error) {
	if o.BaseURL == "" {
		o.BaseURL = "https://api.pwnedpasswords.com"
	}
	u, err := url.Parse(o.BaseURL)
	if err != nil {
		return nil, errors.New("breach: Options.BaseURL is no URL")
	}
	if u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		return nil, errors.New("breach: Options.BaseURL is neither https nor http to a loopback address, or has more than host and path")
	}
	if o.Timeout == 0 {
		o.Timeout = 3 * time.Second
	}
	if o.Timeout < 0 || o.Timeout > 30*time.Second {
		return nil, fmt.Errorf("breach: Options.Timeout is %v, want at most 30 s", o.Timeout)
	}
	return &Client{base: strings.TrimSuffix(u.String(), "/") + "/range/", timeout: o.Timeout, http: http.Client{
		Transport: o.Transport,
		// A redirect would carry the range to a host nobody chose.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// Breached reports whether the service knows password. Any answer but a complete
// and well-formed one is an error: not to know is not the same as not leaked. The
// errors do not name the range, which is part of the password's hash.
func (c *Client) Breached(ctx context.Context, password string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	sum := hash(password)
	body, err := c.get(ctx, sum[:5])
	if err != nil {
		return false, fmt.Errorf("breach: ask the range service: %w", err)
	}
	leaked := false
	for line := range strings.Lines(body) {
		suffix, seen, ok := parse(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), 35)
		if !ok {
			return false, errors.New("breach: the range service sent a malformed line")
		}
		leaked = leaked || suffix == sum[5:] && seen > 0 // seen by nobody: padding
	}
	if body == "" { // every range holds hundreds
		return false, errors.New("breach: the range service sent nothing")
	}
	return leaked, nil
}

// get returns the lines of one range.
func (c *Client) get(ctx context.Context, prefix string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+prefix, nil)
	if err != nil {
		return "", errors.New("no request can be made")
	}
	req.Header.Set("Add-Padding", "true")
	req.Header.Set("User-Agent", "github.com/seed-1320b244/mfa/breach")
	resp, err := c.http.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the URL
		}
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return "", err
	}
	if len(body) > maxBody {
		return "", fmt.Errorf("more than %d bytes", maxBody)
	}
	return string(body), nil
}
