package pages_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa/mfahttp/pages"
)

// deep returns a wire, and a browser of alice with all that a forged request could use: a
// session with a fresh proof, and a flow that waits for the code of another app.
func deep(t *testing.T, options ...func(*pages.Config)) (*wire, *browser) {
	t.Helper()
	w := listen(t, newHost(t, options...))
	b := w.host.browser().signIn("alice").turnOn()
	b.post("/account/security/add", "another", "yes").at("/account/setup")
	if len(b.cookies) < 2 {
		t.Fatalf("the cookies are %v", b.cookies)
	}
	return w, b
}

// everything is a form that does something on every route.
func (b *browser) everything() url.Values {
	b.t.Helper()
	b.get("/account/security").at("/account/security")
	_, rest, _ := strings.Cut(b.body, "do=rename&amp;id=")
	id, _, ok := strings.Cut(rest, `"`)
	if !ok {
		b.t.Fatalf("no app on the page:\n%s", b.body)
	}
	return url.Values{
		"name": {"alice"}, "password": {password}, "new": {password + " 1"}, "code": {b.app.Code(b.kit.Clock.Now())}, "saved": {"yes"}, "send": {"yes"},
		"id": {id}, "label": {"Mine"}, "on": {"no"}, "method": {"email_code"}, "address": {"x@example.com"}, "user": {"u-2"}, "action": {"x"}, "sms": {"yes"},
		"token": {"x"}, "to": {"/account/security"}, "_method": {"POST"},
	}
}

// No form of another origin does anything, on any route.
func TestForeignForms(t *testing.T) {
	w, b := deep(t)
	form := b.everything().Encode()
	before := w.records()
	for _, path := range routes(t, "POST") {
		for _, headers := range [][]string{
			{"Origin: https://evil.example"}, {"Origin: https://evil.cedar.example"}, {"Origin: https://cedar.example.evil.example"},
			{"Origin: https://cedar.example:8443"}, {"Origin: null"}, {"Origin: cedar.example"}, {"Origin: https://evil.example", "Origin: https://cedar.example"},
			{"Sec-Fetch-Site: cross-site"}, {"Sec-Fetch-Site: same-site"}, {"Sec-Fetch-Site: Same-Origin"}, {"Sec-Fetch-Site: x"},
			{"Sec-Fetch-Site: cross-site", "Origin: https://cedar.example"}, {"Sec-Fetch-Site: cross-site", sameOrigin},
			{"Sec-Fetch-Site: cross-site", "X-Forwarded-Host: evil.example", "Origin: https://evil.example"},
		} {
			a := w.send(request("POST", path, form, append(headers, b.cookie())...))
			if a.status != http.StatusForbidden || len(a.cookies) > 0 {
				t.Errorf("POST %s with %q: %d, cookies %v", path, headers, a.status, a.cookies)
			}
		}
		w.unchanged(before, "POST %s", path)
	}
	w.alive()

	// What sends neither header is no browser, or one from before 2020, and has what it
	// sends from its user: it passes, as the site's own forms do.
	for _, headers := range [][]string{nil, {sameOrigin}, {"Sec-Fetch-Site: none"}, {"Origin: https://cedar.example"}} {
		a := w.send(request("POST", "/account/security/rename", form, append(headers, b.cookie())...))
		if a.status != http.StatusSeeOther || a.header.Get("Location") != "/account/security?done=renamed" {
			t.Errorf("a form with %q: %d to %s", headers, a.status, a.header.Get("Location"))
		}
	}
	if maps.Equal(w.records(), before) {
		t.Error("a form that passes changes nothing: the test could not fail")
	}
}

// Whatever is sent with another method changes nothing, in the query or in the body, and
// no header turns one method into another.
func TestMethods(t *testing.T) {
	w, b := deep(t)
	form := b.everything().Encode()
	before := w.records()
	override := []string{"X-HTTP-Method-Override: POST", "X-HTTP-Method: POST", "X-Method-Override: POST", sameOrigin, b.cookie()}
	posts, gets := routes(t, "POST"), routes(t, "GET")
	for _, path := range append(posts, gets...) {
		for _, method := range []string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "post", "PROPFIND", "X"} {
			a := w.send(request(method, path+"?"+form, form, override...))
			if a.status == 0 || a.status >= 500 {
				t.Errorf("%s %s: %d", method, path, a.status)
			}
			for _, secret := range b.cookies {
				if strings.Contains(a.body, secret) {
					t.Errorf("%s %s says what it was sent", method, path)
				}
			}
		}
		w.unchanged(before, "what is no POST to %s", path)
	}
	for _, path := range gets {
		if strings.Contains(strings.Join(posts, " ")+" ", path+" ") || strings.HasSuffix(path, "{$}") {
			continue
		}
		if a := w.send(request("POST", path, form, sameOrigin, b.cookie())); a.status != http.StatusNotFound {
			t.Errorf("POST %s: %d", path, a.status)
		}
		w.unchanged(before, "POST %s", path)
	}
	w.alive()
}

// A neighboring subdomain can set cookies for the whole domain, without the prefix of the
// names. None of them counts, and none hides the right one.
func TestPlantedCookies(t *testing.T) {
	w, alice := deep(t)
	mallory := w.host.browser().signIn("bob").at("/home")
	token := mallory.cookies["__Host-mfa_session"]
	if token == "" {
		t.Fatalf("the cookies are %v", mallory.cookies)
	}
	before := w.records()
	for _, planted := range []string{
		"mfa_session=" + token, "__Secure-mfa_session=" + token, "__host-mfa_session=" + token, "__HOST-mfa_session=" + token, "__Host-mfa_Session=" + token,
		"=__Host-mfa_session=" + token, "\u2000__Host-mfa_session=" + token, "\u00a0__Host-mfa_session=" + token, "\x85__Host-mfa_session=" + token,
		"__Host-mfa_session[]=" + token, `"__Host-mfa_session"=` + token, "$Version=1, __Host-mfa_session=" + token, "mfa_pending=" + token, "__Host-mfa_pending=" + token,
		"__Host-mfa_browsers=" + token, "=__Host-mfa_pending=" + token, "__Host-mfa_session=x", "__Host-mfa_session=" + mallory.cookies["__Host-mfa_browsers"], "a=b,__Host-mfa_session=" + token, "__Host-mfa%5fsession=" + token,
	} {
		if a := w.send(request("GET", "/account/security", "", "Cookie: "+planted)); a.status != http.StatusSeeOther || len(a.cookies) > 0 {
			t.Errorf("%q alone: %d, cookies %v", planted, a.status, a.cookies)
		}
		for _, both := range []string{"Cookie: " + planted + "; " + alice.cookie()[len("Cookie: "):], alice.cookie() + "; " + planted} {
			a := w.send(request("GET", "/account/security", "", both))
			if a.status != http.StatusOK || !strings.Contains(a.body, "alice@example.com") || strings.Contains(a.body, "bob@") {
				t.Errorf("%q: %d, want the page of alice", both, a.status)
			}
		}
	}
	w.unchanged(before, "cookies of others")
}

// No cookie can be set for a whole domain, read by a script or sent in the clear.
func TestCookieAttributes(t *testing.T) {
	w := listen(t, newHost(t))
	b := w.host.browser().signIn("alice").turnOn()
	b.post("/account/sign-out")
	delete(b.cookies, "__Host-mfa_browsers")
	seen := make(map[string]bool)
	check := func(a answer) answer {
		for _, c := range a.cookies {
			seen[c.Name] = true
			if !strings.HasPrefix(c.Name, "__Host-mfa_") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
				t.Errorf("a cookie is set as %v", c)
			}
			if b.cookies[c.Name] = c.Value; c.MaxAge < 0 {
				delete(b.cookies, c.Name)
			}
		}
		return a
	}
	check(w.send(request("POST", "/account/sign-in", url.Values{"name": {"alice"}, "password": {password}}.Encode(), sameOrigin, b.cookie())))
	w.kit.Clock.Advance(60e9)
	check(w.send(request("POST", "/account/verify", url.Values{"code": {b.app.Code(w.kit.Clock.Now())}}.Encode(), sameOrigin, b.cookie())))
	check(w.send(request("POST", "/account/sign-out", "", sameOrigin, b.cookie())))
	if len(seen) != 3 {
		t.Errorf("the cookies that were set are %v, want 3", seen)
	}
}

// A request may be as large as the limits and not a byte larger.
func TestSizes(t *testing.T) {
	w := listen(t, newHost(t))
	const most = maxHeader + 4096 // net/http grants that much more
	for _, name := range []string{"Cookie", "User-Agent", "Accept-Language", "X-Forwarded-For", "Referer", "X-Other"} {
		for size, want := range map[int]int{most: http.StatusOK, most + 1: http.StatusRequestHeaderFieldsTooLarge} {
			plain := request("GET", "/account/sign-in", "", name+": ")
			text := request("GET", "/account/sign-in", "", name+": "+strings.Repeat("a", size-len(plain)))
			if a := w.send(text); a.status != want {
				t.Errorf("%s of a request of %d bytes: %d, want %d", name, size, a.status, want)
			}
		}
	}
	const limit = 64 << 10
	for _, name := range []string{"name", "password", "to", "x"} {
		for size, want := range map[int]int{limit: http.StatusSeeOther, limit + 1: http.StatusBadRequest} {
			form := url.Values{"a": {"b"}}.Encode() + "&" + name + "="
			form += strings.Repeat("a", size-len(form))
			a := w.send(request("POST", "/account/sign-in", form, sameOrigin))
			if a.status != want || len(a.cookies) > 0 {
				t.Errorf("%s in a form of %d bytes: %d, want %d", name, size, a.status, want)
			}
			chunked := strings.Replace(request("POST", "/account/sign-in", "", sameOrigin), "Content-Length: 0", "Transfer-Encoding: chunked", 1) +
				fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(form), form)
			if a := w.send(chunked); a.status != want || len(a.cookies) > 0 {
				t.Errorf("%s in a form of %d bytes that does not say how long it is: %d, want %d", name, size, a.status, want)
			}
		}
	}
	w.alive()
}

// A form that cannot be read whole does nothing: what it lacks would count as a box that
// is not ticked, and turn something off.
func TestUnreadableForms(t *testing.T) {
	w := listen(t, newHost(t))
	b := w.host.browser().signIn("alice").turnOn()
	b.post("/account/security/ask", "on", "no")
	b.post("/account/security/ask", "on", "yes")
	before := w.records()
	const multipart = "--b\r\nContent-Disposition: form-data; name=\"on\"\r\n\r\nno\r\n--b--\r\n"
	for what, text := range map[string]string{
		"too large":          request("POST", "/account/security/ask", "x="+strings.Repeat("a", 64<<10)+"&on=yes", sameOrigin, b.cookie()),
		"a broken escape":    request("POST", "/account/security/ask", "on=%zz", sameOrigin, b.cookie()),
		"a semicolon":        request("POST", "/account/security/ask", "x=1;on=yes", sameOrigin, b.cookie()),
		"a broken query":     request("POST", "/account/security/ask?x=%zz", "on=no", sameOrigin, b.cookie()),
		"too many fields":    request("POST", "/account/security/ask", strings.Repeat("&x=", 15000)+"&on=yes", sameOrigin, b.cookie()),
		"of another type":    strings.Replace(request("POST", "/account/security/ask", "on=yes", sameOrigin, b.cookie()), "application/x-www-form-urlencoded", "text/plain", 1),
		"of no type":         strings.Replace(request("POST", "/account/security/ask", "on=yes", sameOrigin, b.cookie()), "Content-Type: application/x-www-form-urlencoded\r\n", "", 1),
		"of many parts":      strings.Replace(request("POST", "/account/security/ask", multipart, sameOrigin, b.cookie()), "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", 1),
		"of JSON":            strings.Replace(request("POST", "/account/security/ask", `{"on":"no"}`, sameOrigin, b.cookie()), "application/x-www-form-urlencoded", "application/json", 1),
		"in a broken coding": strings.Replace(request("POST", "/account/security/ask", "", sameOrigin, b.cookie()), "Content-Length: 0", "Transfer-Encoding: chunked", 1) + "zz\r\n",
	} {
		if a := w.send(text); a.status != http.StatusBadRequest || len(a.cookies) > 0 {
			t.Errorf("a form %s: %d to %s", what, a.status, a.header.Get("Location"))
		}
		w.unchanged(before, "a form %s", what)
	}
	for what, body := range map[string]string{"of nothing": "", "of neither": "on=maybe", "of nothing twice": "on=&on=no"} {
		for _, path := range []string{"/account/security/ask", "/account/security/method?method=email_code", "/account/security/method?method=sms_code"} {
			if a := w.send(request("POST", path, body, sameOrigin, b.cookie())); a.status != http.StatusBadRequest {
				t.Errorf("%s, a form %s: %d to %s", path, what, a.status, a.header.Get("Location"))
			}
			w.unchanged(before, "a form %s", what)
		}
	}
	b.post("/account/security/ask", "on", "no").at("/account/security")
	if maps.Equal(w.records(), before) {
		t.Error("the form itself changes nothing: the test could not fail")
	}
	w.alive()
}
