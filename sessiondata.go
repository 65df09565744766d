package mfa

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// decode reads what json.Marshal wrote for a session. Every request does this,
// and encoding/json takes four times as long, half of the whole check. It leaves
// to encoding/json what it does not know: an escaped character, or a field of a
// later version.
func (d *sessionData) decode(data []byte) error {
	if own, ok := parseSession(string(data)); ok {
		*d = own
		return nil
	}
	return json.Unmarshal(data, d)
}

// parseSession reads a session in the order of its fields and without space.
func parseSession(text string) (sessionData, bool) {
	var d sessionData
	var err error
	c := cursor{rest: text}
	c.want(`{"v":`)
	d.V = int(c.number())
	c.want(`,"s":`)
	d.Secret, err = base64.StdEncoding.DecodeString(c.string())
	c.want(`,"c":`)
	d.Created = c.number()
	c.want(`,"l":`)
	d.Seen = c.number()
	c.want(`,"f":{"t":`)
	d.First.At = c.number()
	d.First.Password = c.has(`,"p":true`)
	if c.has(`,"c":`) {
		d.First.Connection = c.string()
	}
	if c.has(`,"m":[`) {
		d.First.AMR = list(&c, c.string)
	}
	if c.has(`,"r":`) {
		d.First.ACR = c.string()
	}
	d.First.Mailed = c.has(`,"e":true`)
	c.want(`}`)
	if c.has(`,"q":[`) {
		d.Proofs = list(&c, c.proof)
	}
	if c.has(`,"d":`) {
		d.Device = c.string()
	}
	if c.has(`,"a":`) {
		d.Addr = c.string()
	}
	if c.has(`,"b":`) {
		d.Remembered = c.proof()
	}
	if c.has(`,"g":`) {
		d.Gap = c.number()
	}
	if c.has(`,"o":`) {
		d.Org = c.string()
	}
	c.want(`}`)
	return d, err == nil && !c.lost && c.rest == ""
}

// A cursor goes through JSON. When it is lost, nothing that it read counts.
type cursor struct {
	rest string
	lost bool
}

func (c *cursor) has(s string) bool {
	rest, ok := strings.CutPrefix(c.rest, s)
	c.rest = rest
	return ok
}

func (c *cursor) want(s string) { c.lost = !c.has(s) || c.lost }

// number reads a whole number of at most 18 digits: none overflows.
func (c *cursor) number() int64 {
	var n int64
	i := 0
	for ; i < len(c.rest) && '0' <= c.rest[i] && c.rest[i] <= '9'; i++ {
		n = n*10 + int64(c.rest[i]-'0')
	}
	c.lost = c.lost || i == 0 || i > 18 || i > 1 && c.rest[0] == '0'
	c.rest = c.rest[i:]
	return n
}

// string reads a string of printable ASCII without escapes.
func (c *cursor) string() string {
	c.want(`"`)
	for i := range len(c.rest) {
		switch b := c.rest[i]; {
		case b == '"':
			s := c.rest[:i]
			c.rest = c.rest[i+1:]
			return s
		case b == '\\', b < ' ', b > '~':
			c.lost = true
			return ""
		}
	}
	c.lost = true
	return ""
}

func (c *cursor) proof() proofData {
	var p proofData
	c.want(`{"m":`)
	p.Method = int(c.number())
	c.want(`,"t":`)
	p.At = c.number()
	c.want(`}`)
	return p
}

// list reads the rest of an array of what one reads.
func list[T any](c *cursor, one func() T) []T {
	all := []T{one()}
	for !c.lost && c.has(`,`) {
		all = append(all, one())
	}
	c.want(`]`)
	return all
}
