package mfa

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
)

// past is a history as nearly every operation needs it: the entries as they are
// stored. Each sign-in adds one to fifty and reads none, and for encoding/json to
// decode and encode them took as long as everything else that a code page does
// together. Its record is checked all the same: nobody else wrote what is in it.
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

// add adds an entry. The oldest goes when there are too many.
func (p *past) add(e entry) {
	entries := append(slices.Clone(p.Entries), encode(e))
	p.Entries = entries[max(0, len(entries)-maxHistory):]
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
