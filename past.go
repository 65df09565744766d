package mfa

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// past is a history as nearly every operation needs it: the entries as they are
// stored. Each step of a sign-in reads the record and looks at none of its fifty, and
// for encoding/json to decode them took as long as everything else that a code page
// does together. The record is checked all the same: nobody else wrote what is in it.
type past struct {
	V       int
	Entries []json.RawMessage // oldest first
}

func (p *past) version() int { return p.V }

const (
	pastBegins = `{"v":1,"e":[`
	pastEnds   = `]}`
)

// decode takes apart what encode wrote. It leaves to encoding/json what has
// another form: a history of another version, or none at all.
func (p *past) decode(data []byte) error {
	if entries, ok := splitPast(data); ok {
		*p = past{recordVersion, entries}
		return nil
	}
	var h history
	if err := json.Unmarshal(data, &h); err != nil {
		return err
	}
	*p = past{V: h.V}
	for _, e := range h.Entries {
		p.Entries = append(p.Entries, encode(e))
	}
	return nil
}

// MarshalJSON and UnmarshalJSON are for the entries that wait in an account.
func (p past) MarshalJSON() ([]byte, error) { return p.encode(), nil }

func (p *past) UnmarshalJSON(data []byte) error { return p.decode(data) }

// splitPast returns the entries of a history: flat objects, of which only a string
// can hold a brace.
func splitPast(data []byte) ([]json.RawMessage, bool) {
	rest, ok1 := bytes.CutPrefix(data, []byte(pastBegins))
	rest, ok2 := bytes.CutSuffix(rest, []byte(pastEnds))
	if !ok1 || !ok2 || len(rest) == 0 {
		return nil, false
	}
	entries := make([]json.RawMessage, 0, maxHistory)
	begin, quoted := 0, false
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' && i != begin:
			return nil, false
		case c == '}':
			entries = append(entries, rest[begin:i+1:i+1])
			if i+1 < len(rest) && rest[i+1] != ',' || rest[begin] != '{' {
				return nil, false
			}
			i, begin = i+1, i+2
		}
	}
	return entries, begin == len(rest)+1
}

// encode is the JSON of the history with these entries.
func (p past) encode() []byte {
	all := make([][]byte, len(p.Entries))
	for i, e := range p.Entries {
		all[i] = e
	}
	return slices.Concat([]byte(pastBegins), bytes.Join(all, []byte(",")), []byte(pastEnds))
}

// add adds entries. The oldest go when there are too many.
func (p *past) add(entries ...json.RawMessage) {
	all := slices.Concat(p.Entries, entries)
	p.Entries = all[max(0, len(all)-maxHistory):]
}

// maxRecent is how many bytes of entries wait in the account, about ten entries. The
// account is written anyway, and is a third as long as a history.
const maxRecent = 1 << 10

// remember stages an entry: of an organization in its history, of a user in her
// account.
func (s *state) remember(e entry) {
	if s.user.ID == "" {
		s.history.data.add(encode(e))
		s.put(s.history.rec, time.Time{}, s.history.data)
		return
	}
	s.entries, s.touched = append(s.entries, encode(e)), true
}

// fileAway adds the entries to those that wait in the account, and moves all to the
// history when they are much; at once when there is none yet, because a history tells
// that there was an account, should that be lost; and when it is under another key than
// the account will be, so that both are readable with the same.
func (s *state) fileAway() {
	recent, waiting := &s.account.data.Recent, 0
	recent.add(s.entries...)
	for _, e := range recent.Entries {
		waiting += len(e)
	}
	settled := s.history.data.V != 0 && s.g.ring.Latest(s.history.rec.Version)
	if waiting == 0 || waiting <= maxRecent && settled {
		return
	}
	s.history.data.add(recent.Entries...)
	*recent = past{}
	s.put(s.history.rec, time.Time{}, s.history.data)
}

// past returns the entries of a user or an organization, oldest first.
func (s *state) past() ([]entry, error) {
	all := s.history.data
	all.add(s.account.data.Recent.Entries...)
	return all.read()
}

// read returns the entries, oldest first.
func (p *past) read() ([]entry, error) {
	entries := make([]entry, len(p.Entries))
	for i, data := range p.Entries {
		if err := json.Unmarshal(data, &entries[i]); err != nil {
			return nil, &unavailable{"read a history", ReasonMalformedRecord, errors.New("not JSON of this library")}
		}
	}
	return entries, nil
}
