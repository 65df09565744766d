package main

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The host's own forms are behind the same check as those of the library: none of another
// origin is taken, on any route in the program text.
func TestForeignForms(t *testing.T) {
	s := newSite(t, false)
	text, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{"/sign-in", "/sign-out"}
	for _, m := range regexp.MustCompile(`"POST (/[^"]+)"`).FindAllStringSubmatch(string(text), -1) {
		paths = append(paths, m[1])
	}
	if len(paths) < 5 {
		t.Fatalf("the routes are %q", paths)
	}
	form := url.Values{"name": {"alice"}, "password": {demoPassword}, "by": {"1h"}, "stop": {"yes"}}.Encode()
	send := func(path, header, value string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set(header, value)
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	for _, path := range paths {
		for header, value := range map[string]string{"Origin": "https://evil.example", "origin": "null", "Sec-Fetch-Site": "cross-site", "sec-fetch-site": "same-site"} {
			if resp := send(path, header, value); resp.StatusCode != http.StatusForbidden || len(resp.Cookies()) > 0 {
				t.Errorf("POST %s with %s: %s gets %s", path, header, value, resp.Status)
			}
		}
		if resp := send(path, "Origin", s.url); resp.StatusCode == http.StatusForbidden {
			t.Errorf("POST %s from a page of the site gets %s", path, resp.Status)
		}
	}
}
