package mfa

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/netip"
	"slices"
	"time"
)

const kindQuota = "quota"

// quota counts what was taken in the last hour from a budget that users share, by
// the minute. It is taken before the work, in a commit of its own, and never given
// back: a success must not pay for the next try.
type quota struct {
	V     int        `json:"v"`
	Taken [][2]int64 `json:"t"` // Unix minute, and how many; oldest first
}

func (q *quota) version() int { return q.V }

// A budget is who shares a quota, and how many it has an hour.
type budget struct {
	owner string
	id    string // that tells budgets of one owner apart
	limit int
}

// budgetOf returns the budget of what a name stands for. The name goes into the
// store as a hash, so that a table shows no numbers and no addresses.
func budgetOf(limit int, what, name string) budget {
	sum := sha256.Sum256([]byte(what + ":" + name))
	return budget{owner: "d/" + base64.RawURLEncoding.EncodeToString(sum[:]), limit: limit}
}

// network returns the network that shares a budget: an IPv4 address, or the /56
// that a provider gives to one customer.
func network(addr netip.Addr) string {
	if addr.Is6() {
		p, err := addr.Prefix(56)
		if err != nil {
			return ""
		}
		return p.String()
	}
	return addr.String()
}

// take takes one from a budget, or returns *ThrottledError with the time until
// there is one again. No hour sees more than the limit. It tries until ctx ends: an
// office behind one address shares a record, and no more commits come between than the
// budget has.
func (g *Guard) take(ctx context.Context, b budget, why Reason) error {
	_, err := run(ctx, g, untilEnded, func(now time.Time) (*state, struct{}, error) {
		s := &state{g: g, now: now, owner: b.owner}
		records, err := g.get(ctx, Key{Owner: b.owner, Kind: kindQuota, ID: b.id})
		if err != nil {
			return nil, struct{}{}, err
		}
		var q quota
		if records[0].Version != "" && now.Before(records[0].Expires) {
			if err := g.open(records[0], &q); err != nil {
				return nil, struct{}{}, err
			}
		}
		wait := q.add(now, b.limit)
		if wait > 0 {
			return nil, struct{}{}, &ThrottledError{RetryAfter: wait, reason: why}
		}
		s.put(records[0], now.Add(2*time.Hour), q)
		return s, struct{}{}, nil
	})
	return err
}

// add counts one at now, unless the last hour has seen limit: then it returns how
// long to wait. What lies further ahead than clocks differ is from before the clock
// was set back, and counts no more.
func (q *quota) add(now time.Time, limit int) time.Duration {
	const hour = 60
	minute := now.Unix() / 60
	q.V = recordVersion
	q.Taken = slices.DeleteFunc(q.Taken, func(t [2]int64) bool {
		return t[0] < minute-hour || t[0] > minute+int64(clockSkew/time.Minute)
	})
	var n int64
	for _, t := range q.Taken {
		n += t[1]
	}
	for _, t := range q.Taken {
		if n < int64(limit) {
			break
		}
		if n -= t[1]; n < int64(limit) {
			// The minute that makes room is over, wholly, an hour later.
			return min(time.Unix((t[0]+hour+1)*60, 0).Sub(now), time.Hour+time.Minute)
		}
	}
	if i := slices.IndexFunc(q.Taken, func(t [2]int64) bool { return t[0] == minute }); i >= 0 {
		q.Taken[i][1]++
	} else {
		q.Taken = append(q.Taken, [2]int64{minute, 1})
		slices.SortFunc(q.Taken, func(a, b [2]int64) int { return int(a[0] - b[0]) })
	}
	return 0
}
