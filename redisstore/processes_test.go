package redisstore_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
	"github.com/seed-1320b244/mfa/redisstore"
)

// The environment of a racer, which is the test binary run once more.
const (
	racerAddr   = "MFA_TEST_RACER_REDIS"
	racerPrefix = "MFA_TEST_RACER_PREFIX"
	racerKey    = "MFA_TEST_RACER_KEY"
)

// A task is one proof for a racer. It loads the flow, says so, and verifies when
// told to, so that all racers start from the same state.
type task struct {
	Token  string
	Method mfa.Method
	Code   string
	Now    int64
}

// A verdict is a racer's answer.
type verdict struct {
	Session string // the token won
	Refused string // the reason
	Failed  string // any other error
}

// everyone is a directory that knows every user.
type everyone struct{}

func (everyone) User(_ context.Context, id string) (mfa.User, error) { return mfa.User{ID: id}, nil }

// runRacer is the main function of a racer.
func runRacer() int {
	var clock *mfatest.Clock = mfatest.NewClock(time.Now())
	c := redis.NewClient(options(os.Getenv(racerAddr)))
	store, err := redisstore.New(c, redisstore.Options{Prefix: os.Getenv(racerPrefix)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	keys, err := mfa.ParseKeys(os.Getenv(racerKey))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	g, err := mfa.New(mfa.Config{
		Issuer: "Example", Store: store, Users: everyone{}, Keys: keys, Now: clock.Now, InsecureFastHashing: true,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for in.Scan() {
		var do task
		if err := json.Unmarshal(in.Bytes(), &do); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		clock.Advance(time.Unix(do.Now, 0).Sub(clock.Now()))
		var v verdict
		p, err := g.Pending(context.Background(), do.Token, "", mfatest.Laptop())
		fmt.Println(`"ready"`)
		if !in.Scan() {
			return 0
		}
		if err == nil {
			var o mfa.Outcome
			if o, err = p.Verify(context.Background(), mfa.Proof{Method: do.Method, Code: do.Code}); err == nil && o.Session != nil {
				v.Session = o.Session.Token()
			}
		}
		switch {
		case errors.Is(err, mfa.ErrRefused), errors.Is(err, mfa.ErrNoPending):
			v.Refused = string(mfa.ReasonOf(err))
		case err != nil:
			v.Failed = err.Error()
		}
		if err := out.Encode(v); err != nil {
			return 1
		}
	}
	return 0
}

// A racer is such a process as its parent sees it.
type racer struct {
	in  *json.Encoder
	out *json.Decoder
}

func startRacer(t *testing.T, addr, prefix, key string) racer {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), racerAddr+"="+addr, racerPrefix+"="+prefix, racerKey+"="+key)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("a racer ended: %v", err)
		}
	})
	return racer{json.NewEncoder(in), json.NewDecoder(out)}
}

// A match is four processes and a kit on one store.
type match struct {
	t      *testing.T
	kit    *mfatest.Kit
	store  mfa.Store
	racers []racer
}

// race has each racer prove the same, on the flow of its own place (the last for
// the rest), and checks that one of them wins, for one of the reasons that the
// losers may have.
func (m *match) race(what string, method mfa.Method, code string, losers []mfa.Reason, flows ...string) {
	m.t.Helper()
	for i, r := range m.racers {
		do := task{flows[min(i, len(flows)-1)], method, code, m.kit.Clock.Now().Unix()}
		if err := r.in.Encode(do); err != nil {
			m.t.Fatal(err)
		}
	}
	for _, r := range m.racers {
		var ready string
		if err := r.out.Decode(&ready); err != nil {
			m.t.Fatal(err)
		}
	}
	for _, r := range m.racers {
		if err := r.in.Encode("go"); err != nil {
			m.t.Fatal(err)
		}
	}
	winners := 0
	for _, r := range m.racers {
		var v verdict
		if err := r.out.Decode(&v); err != nil {
			m.t.Fatal(err)
		}
		lost := false
		for _, l := range losers {
			lost = lost || v.Refused == string(l)
		}
		switch {
		case v.Session != "":
			winners++
		case !lost:
			m.t.Fatalf("%s: a loser got reason %q, error %q", what, v.Refused, v.Failed)
		}
	}
	if winners != 1 {
		m.t.Fatalf("%s: %d of %d processes won, want 1", what, winners, len(m.racers))
	}
}

// flow signs in and returns the token of the flow that asks for a code.
func (m *match) flow(user string) string {
	m.t.Helper()
	out := m.kit.SignIn(m.t, user)
	if out.Pending == nil {
		m.t.Fatal("the sign-in asks for no second factor")
	}
	return out.Pending.Token()
}

// TestR1_R2_FourProcesses: a time step of an authenticator, a backup code and the
// token of a flow are each worth one session, however many processes on one store
// are offered them at the same time.
func TestR1_R2_FourProcesses(t *testing.T) {
	addr := sharedAddr(t)
	prefix, key := sharedPrefix(t, addr), mfa.NewKey()
	m := &match{t: t, store: newStore(t, client(t, addr), redisstore.Options{Prefix: prefix})}
	m.kit = newKit(t, m.store, key)
	for range 4 {
		m.racers = append(m.racers, startRacer(t, addr, prefix, key))
	}
	for n := range mfatest.Rounds(1000) {
		user := "racer" + strconv.Itoa(n)
		app, _, codes := m.kit.Enroll(t, user)
		four := func() []string { return []string{m.flow(user), m.flow(user), m.flow(user), m.flow(user)} }

		m.race("one code of an authenticator in four flows", mfa.TOTP, app.Code(m.kit.Clock.Now()),
			[]mfa.Reason{mfa.ReasonTOTPReused}, four()...)
		m.race("one backup code in four flows", mfa.BackupCode, codes[0], []mfa.Reason{mfa.ReasonWrongCode}, four()...)
		m.kit.Clock.Advance(app.Period())
		m.race("one flow", mfa.TOTP, app.Code(m.kit.Clock.Now()), []mfa.Reason{mfa.ReasonAlreadyCompleted, mfa.ReasonNotFound}, m.flow(user))

		sessions, err := m.store.List(t.Context(), "u/"+user, "session")
		if err != nil || len(sessions) != 4 {
			t.Fatalf("the user has %d sessions, want that of enrolling and one of each race; %v", len(sessions), err)
		}
	}
}

// newKit returns a kit on a store of which the server has a clock of its own: the
// kit's begins with that, not in its past, where everything is long over.
func newKit(t testing.TB, s mfa.Store, key string) *mfatest.Kit {
	t.Helper()
	keys, err := mfa.ParseKeys(key)
	if err != nil {
		t.Fatal(err)
	}
	k := mfatest.New(t, func(c *mfa.Config) { c.Store, c.Users, c.Keys = s, everyone{}, keys })
	k.Clock.Advance(time.Since(k.Clock.Now()))
	return k
}
