package main

import (
	"net/http"
	"sync/atomic"
	"time"
)

// clock is the wall clock and a jump ahead, so that waiting can be tried. A real
// host has none of this file.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

var jumps = []time.Duration{30 * time.Second, time.Minute, time.Hour, 24 * time.Hour}

func (a *app) clockPage(w http.ResponseWriter, r *http.Request) {
	a.render(w, r, "clock", map[string]any{"Now": a.clock.Now().UTC(), "Jumps": jumps})
}

func (a *app) moveClock(w http.ResponseWriter, r *http.Request) {
	for _, d := range jumps {
		if d.String() == r.PostFormValue("by") {
			a.clock.advance(d)
		}
	}
	http.Redirect(w, r, "/dev/clock", http.StatusSeeOther)
}
