package mfa_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/seed-1320b244/mfa"
)

// Our own decoder never reads anything else than encoding/json does, and it does
// read what is written for an ordinary session.
func FuzzParseSession(f *testing.F) {
	for _, d := range []mfa.SessionData{
		{V: 1, Secret: make([]byte, 32), Created: 1772355600, Seen: 1772355600, First: mfa.FirstData{At: 1772355600, Password: true},
			Proofs: []mfa.ProofData{{Method: 1, At: 1772355600}, {Method: 2, At: 1772355700}}, Device: "Firefox on Linux", Addr: "2001:db8::1"},
		{V: 1, Secret: make([]byte, 32), First: mfa.FirstData{Connection: "okta", AMR: []string{"mfa", "pwd"}, ACR: "urn:x"}},
		{V: 1, Secret: make([]byte, 32), First: mfa.FirstData{Password: true}, Remembered: mfa.ProofData{Method: 1, At: 1772355600}},
		{V: 1, Secret: make([]byte, 32), Proofs: []mfa.ProofData{{Method: 1}}, Device: "curl", Addr: "::1", Remembered: mfa.ProofData{Method: 4}},
		{V: 2},
	} {
		data, err := json.Marshal(d)
		if err != nil {
			f.Fatal(err)
		}
		if own, ok := mfa.ParseSession(string(data)); len(d.Secret) > 0 && (!ok || !reflect.DeepEqual(own, d)) {
			f.Errorf("%s is read as %+v, %v", data, own, ok)
		}
		f.Add(string(data))
	}
	for _, s := range []string{
		"", "{", `{"v":1}`, `{"v":01,"s":"","c":0,"l":0,"f":{"t":0}}`, `{"v":1,"s":"","c":-1,"l":0,"f":{"t":0}}`,
		`{"v":1,"s":"AA","c":1,"l":0,"f":{"t":0}}`, `{"v":1,"s":"","c":9999999999999999999,"l":0,"f":{"t":0}}`,
		`{"v":1,"s":"A\nA=","c":1,"l":0,"f":{"t":0}}`, `{"v":1,"s":"","c":1,"l":0,"f":{"t":0},"q":[]}`,
		`{"v":1,"s":"","c":1,"l":0,"f":{"t":0},"d":"\u00e9"}`, `{"v":1,"s":"","c":1,"l":0,"f":{"t":0},"z":1}`,
		`{"v":1,"s":"","c":1,"l":0,"f":{"t":0},"b":{"m":1,"t":1},"q":[]}`, `{"v":1,"s":"","c":1,"l":0,"f":{"t":0},"b":null}`,
		`{"v":1,"s":"","c":1,"l":0,"f":{"t":0},"b":{"m":1,"t":1},"b":{"m":2}}`, `{"v":1,"s":"","c":1,"l":0,"f":{"t":0},"b":{"t":1,"m":1}}`,
		`{"v":1,"s":"","c":1,"l":0,"f":{"t":0},"q":[{"m":1,"t":1},]}`, `{"v":1,"s":"","c":1,"l":0,"f":{"t":0}}x`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		own, ok := mfa.ParseSession(text)
		if !ok {
			return
		}
		var want mfa.SessionData
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatalf("%q: read, but encoding/json says %v", text, err)
		}
		if !reflect.DeepEqual(own, want) {
			t.Fatalf("%q: read as %+v, encoding/json reads %+v", text, own, want)
		}
	})
}

// Our own decoder of backup codes reads what encoding/json reads.
func TestKeptCodes(t *testing.T) {
	for _, text := range []string{
		`[{"s":"AB","h":"$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA"},{"s":"","h":"x"}]`, `[]`, `null`, `[null]`, `{}`, `[{}]`, `[{"s":"A"}]`,
		` [ { "s" : "A", "h" : "B" } ] `, `[{"h":"B","s":"A"}]`, `[{"s":"A","h":"B","z":1}]`, `[{"s":"\u0041","h":"B"}]`, `[{"s":"é","h":"B"}]`,
		`[{"s":"A","h":"B","h":"C"}]`, `[{"s":1,"h":"B"}]`, `["A"]`, `7`,
	} {
		var own struct{ Codes mfa.KeptCodes }
		var want struct{ Codes []mfa.StoredCode }
		data := []byte(`{"Codes":` + text + `}`)
		err, wantErr := json.Unmarshal(data, &own), json.Unmarshal(data, &want)
		if (err == nil) != (wantErr == nil) || !reflect.DeepEqual([]mfa.StoredCode(own.Codes), want.Codes) {
			t.Errorf("%s: read as %q, %v; encoding/json reads %q, %v", text, own.Codes, err, want.Codes, wantErr)
		}
	}
}
