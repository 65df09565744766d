package mfa_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/seed-1320b244/mfa"
)

// A history that is taken apart without encoding/json is the same when put
// together again, and holds what encoding/json reads in it.
func FuzzReadPast(f *testing.F) {
	written := []string{`{"v":1,"e":[{"n":"a","t":1},{"n":"}],{\"\\","t":2,"a":"\u00e9\u003c{"}]}`, `{"v":1,"e":[{"n":"a","t":1}]}`}
	for _, text := range written {
		if _, _, ok, err := mfa.ReadPast([]byte(text)); !ok || err != nil {
			f.Errorf("%s is left to encoding/json: %v", text, err)
		}
	}
	for _, text := range append(written,
		"", "{}", "null", `{"v":1,"e":[]}`, `{"v":2,"e":[{"n":"a"}]}`, `{"v":1,"e":null}`, `{"v":1,"e":[{}]}`, `{"v":1,"e":[{},]}`,
		`{"v":1,"e":[,{}]}`, `{"v":1,"e":[{},{}]}`, `{"v":1,"e":[{}{}]}`, `{"v":1,"e":[{"n":{}}]}`, `{"v":1,"e":[{"n":"]}`, `{"v":1,"e":[}]}`,
		`{"v":1,"e":[1]}`, `{"v":1,"e":[{"n":"\"]}`, `{"v":1,"e":[{"n":1}]}`, `{"v":1,"e":[{"n":"a"}],"e":[]}`, `{"v":1,"e":[{"n":[}]}`,
	) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		again, entries, ok, err := mfa.ReadPast(data)
		if !ok {
			return
		}
		if string(again) != string(data) {
			t.Fatalf("%q came back as %q", data, again)
		}
		var want mfa.HistoryData
		switch jsonErr := json.Unmarshal(data, &want); {
		case (jsonErr == nil) != (err == nil):
			t.Fatalf("%q: %v, encoding/json says %v", data, err, jsonErr)
		case err == nil && (want.V != 1 || !reflect.DeepEqual(entries, want.Entries)):
			t.Fatalf("%q is read as %+v, encoding/json reads %+v", data, entries, want)
		}
	})
}
