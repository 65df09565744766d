package otpcode_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/seed-1320b244/mfa/internal/otpcode"
)

var (
	// rfcSecret is the SHA-1 secret of the two RFCs.
	rfcSecret = []byte("12345678901234567890")
	sha1Six   = otpcode.Params{Algorithm: otpcode.SHA1, Digits: 6, Period: 30}
)

const (
	none    = otpcode.None
	reused  = otpcode.Reused
	matched = otpcode.Matched
)

// TestR1Window sends the codes of the steps around now to windows of every
// width.
func TestR1Window(t *testing.T) {
	const now = 41152263 // 2009-02-13 23:31:30 UTC
	for width := range otpcode.MaxWidth + 1 {
		for offset := int64(-4); offset <= 4; offset++ {
			var want otpcode.Result
			if -int64(width) <= offset && offset <= int64(width) {
				want = otpcode.Result{Verdict: matched, Step: now + offset}
			}
			code := otpcode.Code(rfcSecret, sha1Six, now+offset)
			if got := otpcode.Match(rfcSecret, sha1Six, code, otpcode.Window{Now: now, Width: width}); got != want {
				t.Errorf("width %d, offset %d: got %+v, want %+v", width, offset, got, want)
			}
		}
	}
}

// TestR1ForwardOnly plays a story of one authenticator: each step is accepted at
// most once and none before the last accepted one.
func TestR1ForwardOnly(t *testing.T) {
	const n = int64(41152263)
	var after int64
	for i, turn := range []struct {
		why       string
		now, code int64
		want      otpcode.Verdict
	}{
		{"first code", n, n, matched},
		{"same code again", n, n, reused},
		{"step before, never used", n, n - 1, reused},
		{"same code in the next step", n + 1, n, reused},
		{"next code", n + 1, n + 1, matched},
		{"clock of the app one step fast", n + 1, n + 2, matched},
		{"that step when its time comes", n + 2, n + 2, reused},
		{"step after it", n + 2, n + 3, matched},
		{"server clock stepped back", n - 5, n - 5, reused},
		{"years later", n + 9_000_000, n + 9_000_000, matched},
		{"beyond the window", n + 9_000_000, n + 9_000_002, none},
	} {
		w := otpcode.Window{Now: turn.now, After: after, Width: 1}
		got := otpcode.Match(rfcSecret, sha1Six, otpcode.Code(rfcSecret, sha1Six, turn.code), w)
		want := otpcode.Result{Verdict: turn.want}
		if turn.want != none {
			want.Step = turn.code
		}
		if got != want {
			t.Fatalf("turn %d, %s: got %+v, want %+v", i, turn.why, got, want)
		}
		if got.Verdict == matched {
			after = got.Step
		}
	}
}

// TestR1Collision uses pairs of near steps of rfcSecret that share a code, found
// by search.
func TestR1Collision(t *testing.T) {
	for _, pair := range [][2]int64{
		{37079356, 37079357}, {37615804, 37615805}, // next to each other
		{37353814, 37353816}, {38450828, 38450830}, // two apart
		{37451272, 37451275}, {37959510, 37959514}, // at the ends of a wide window
	} {
		low, high := pair[0], pair[1]
		code := otpcode.Code(rfcSecret, sha1Six, low)
		if code != otpcode.Code(rfcSecret, sha1Six, high) {
			t.Fatalf("steps %v have different codes", pair)
		}
		for after, want := range map[int64]otpcode.Result{
			0:        {Verdict: matched, Step: low},
			low - 1:  {Verdict: matched, Step: low},
			low:      {Verdict: matched, Step: high},
			high - 1: {Verdict: matched, Step: high},
			high:     {Verdict: reused, Step: high},
			high + 9: {Verdict: reused, Step: high},
		} {
			w := otpcode.Window{Now: high - 2, After: after, Width: 2}
			if got := otpcode.Match(rfcSecret, sha1Six, code, w); got != want {
				t.Errorf("steps %v, after %d: got %+v, want %+v", pair, after, got, want)
			}
		}
	}
}

// TestR1Model compares Match with a plain reading of the rule.
func TestR1Model(t *testing.T) {
	for i := range rounds(t, 5000) {
		rng := rand.New(rand.NewPCG(uint64(i), 5))
		p, secret, _ := randomCase(rng)
		w := otpcode.Window{Now: rng.Int64N(12), After: rng.Int64N(14) - 1, Width: rng.IntN(otpcode.MaxWidth + 1)}
		step := w.Now + rng.Int64N(9) - 4
		code := otpcode.Code(secret, p, step)

		var want otpcode.Result
		for s := w.Now - int64(w.Width); s <= w.Now+int64(w.Width) && want.Verdict != matched; s++ {
			if s < 0 || otpcode.Code(secret, p, s) != code {
				continue
			}
			want = otpcode.Result{Verdict: matched, Step: s}
			if s <= w.After {
				want.Verdict = reused
			}
		}
		if got := otpcode.Match(secret, p, code, w); got != want {
			t.Fatalf("seed %d: %+v, %+v, code of %d: got %+v, want %+v", i, p, w, step, got, want)
		}
	}
}

func TestMatchRefuses(t *testing.T) {
	const now = 41152263
	good := otpcode.Code(rfcSecret, sha1Six, now) // "005924"
	w := otpcode.Window{Now: now, Width: 1}
	for name, got := range map[string]otpcode.Result{
		"empty secret":   otpcode.Match(nil, sha1Six, reference(otpcode.SHA1, nil, now)[2:], w),
		"step before 0":  otpcode.Match(rfcSecret, sha1Six, reference(otpcode.SHA1, rfcSecret, -1)[2:], otpcode.Window{Width: 1}),
		"empty code":     otpcode.Match(rfcSecret, sha1Six, "", w),
		"no zeros":       otpcode.Match(rfcSecret, sha1Six, "5924", w),
		"one zero more":  otpcode.Match(rfcSecret, sha1Six, "0005924", w),
		"space":          otpcode.Match(rfcSecret, sha1Six, " 05924", w),
		"sign":           otpcode.Match(rfcSecret, sha1Six, "+05924", w),
		"letter":         otpcode.Match(rfcSecret, sha1Six, "OO5924", w),
		"after nine":     otpcode.Match(rfcSecret, sha1Six, "24049:", otpcode.Window{Now: now + 2}), // of "240500"
		"before zero":    otpcode.Match(rfcSecret, sha1Six, "/05924", w),
		"fullwidth":      otpcode.Match(rfcSecret, sha1Six, "\uff11\uff12", w), // six bytes
		"negative width": otpcode.Match(rfcSecret, sha1Six, good, otpcode.Window{Now: now, Width: -1}),
		"wide window":    otpcode.Match(rfcSecret, sha1Six, good, otpcode.Window{Now: now, Width: otpcode.MaxWidth + 1}),
		"before 1970":    otpcode.Match(rfcSecret, sha1Six, "755224", otpcode.Window{Now: -1, After: -9, Width: 1}),
		"least now":      otpcode.Match(rfcSecret, sha1Six, good, otpcode.Window{Now: math.MinInt64, Width: 2}),
		"greatest now":   otpcode.Match(rfcSecret, sha1Six, good, otpcode.Window{Now: math.MaxInt64, Width: 2}),
	} {
		if got != (otpcode.Result{}) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	if got := otpcode.Match(rfcSecret, sha1Six, good, w); got.Verdict != matched {
		t.Errorf("the good code: got %+v", got)
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	w := otpcode.Window{Now: 41152263, Width: 1}
	for _, algorithm := range algorithms {
		p := otpcode.Params{Algorithm: algorithm, Digits: 6, Period: 30}
		code := otpcode.Code(rfcSecret, p, w.Now)
		if n := testing.AllocsPerRun(100, func() { otpcode.Match(rfcSecret, p, code, w) }); n != 0 {
			t.Errorf("%s: %v allocations", algorithm, n)
		}
	}
}

// BenchmarkMatch shows that the time is the same for every outcome.
func BenchmarkMatch(b *testing.B) {
	const now = 41152263
	for _, algorithm := range algorithms {
		p := otpcode.Params{Algorithm: algorithm, Digits: 6, Period: 30}
		for _, c := range []struct {
			name   string
			offset int64
			after  int64
		}{{"previous", -1, 0}, {"now", 0, 0}, {"next", 1, 0}, {"reused", 0, now}, {"miss", 7, 0}} {
			code := otpcode.Code(rfcSecret, p, now+c.offset)
			w := otpcode.Window{Now: now, After: c.after, Width: 1}
			b.Run(fmt.Sprintf("%s/%s", algorithm, c.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					otpcode.Match(rfcSecret, p, code, w)
				}
			})
		}
	}
}
