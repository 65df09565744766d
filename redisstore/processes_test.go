package redisstore_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
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
// told to, so that all racers start from the same state. With Password it is a new
// one, and Token that of a mailed link.
type task struct {
	Token    string
	Method   mfa.Method
	Code     string
	Password string
	Now      int64
}

// A verdict is a racer's answer.
type verdict struct {
	Session string // the token won
	Set     bool   // the password was set
	Refused string // the reason
	Failed  string // any other error
}

// everyone is a directory that knows every user, each with a mail address. She signs
// in with her id.
type everyone struct{}

func (everyone) User(_ context.Context, id string) (mfa.User, error) {
	return mfa.User{ID: id, Email: id + "@example.org", EmailVerified: true}, nil
}

func (e everyone) FindUser(ctx context.Context, login string) (mfa.User, error) {
	return e.User(ctx, login)
}

// runRacer is the main function of a racer.
func runRacer() int {
	if err := racing(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// racing carries out tasks until there are no more.
func racing(from io.Reader, to io.Writer) error {
	clock := mfatest.NewClock(time.Now())
	c := redis.NewClient(options(os.Getenv(racerAddr)))
	store, err := redisstore.New(c, redisstore.Options{Prefix: os.Getenv(racerPrefix)})
	if err != nil {
		return err
	}
	keys, err := mfa.ParseKeys(os.Getenv(racerKey))
	if err != nil {
		return err
	}
	g, err := mfa.New(mfa.Config{
		Issuer: "Example", Store: store, Users: everyone{}, Keys: keys, Now: clock.Now, InsecureFastHashing: true,
		Notifier: new(mfatest.Inbox),
	})
	if err != nil {
		return err
	}
	in, out := bufio.NewScanner(from), json.NewEncoder(to)
	for in.Scan() {
		var do task
		if err := json.Unmarshal(in.Bytes(), &do); err != nil {
			return err
		}
		clock.Advance(time.Unix(do.Now, 0).Sub(clock.Now()))
		act := do.load(context.Background(), g)
		if err := out.Encode("ready"); err != nil {
			return err
		}
		if !in.Scan() {
			return nil
		}
		if err := out.Encode(act()); err != nil {
			return err
		}
	}
	return nil
}

// load reads what a task starts from, and returns what is left to do.
func (do task) load(ctx context.Context, g *mfa.Guard) func() verdict {
	if do.Password != "" {
		return func() verdict {
			err := g.ResetPassword(ctx, do.Token, do.Password, mfatest.Laptop())
			return verdict{Set: err == nil}.after(err)
		}
	}
	p, err := g.Pending(ctx, do.Token, "", mfatest.Laptop())
	return func() verdict {
		var v verdict
		if err == nil {
			var o mfa.Outcome
			if o, err = p.Verify(ctx, mfa.Proof{Method: do.Method, Code: do.Code}); err == nil && o.Session != nil {
				v.Session = o.Session.Token()
			}
		}
		return v.after(err)
	}
}

// after returns v with what went wrong.
func (v verdict) after(err error) verdict {
	switch {
	case errors.Is(err, mfa.ErrRefused), errors.Is(err, mfa.ErrNoPending):
		v.Refused = string(mfa.ReasonOf(err))
	case err != nil:
		v.Failed = err.Error()
	}
	return v
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

func newMatch(t *testing.T) *match {
	t.Helper()
	addr := sharedAddr(t)
	prefix, key := sharedPrefix(t, addr), mfa.NewKey()
	m := &match{t: t, store: newStore(t, client(t, addr), redisstore.Options{Prefix: prefix})}
	m.kit = newKit(t, m.store, key)
	for range 4 {
		m.racers = append(m.racers, startRacer(t, addr, prefix, key))
	}
	return m
}

// race has each racer prove the same, on the flow of its own place (the last for
// the rest), and checks that one of them wins, for one of the reasons that the
// losers may have.
func (m *match) race(what string, method mfa.Method, code string, losers []mfa.Reason, flows ...string) {
	m.t.Helper()
	m.run(what, losers, func(i int) task {
		return task{Token: flows[min(i, len(flows)-1)], Method: method, Code: code}
	})
}

// run has each racer carry out its task, and returns the number of the one that won.
func (m *match) run(what string, losers []mfa.Reason, tasks func(i int) task) int {
	m.t.Helper()
	for i, r := range m.racers {
		do := tasks(i)
		do.Now = m.kit.Clock.Now().Unix()
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
	winners, winner := 0, 0
	for i, r := range m.racers {
		var v verdict
		if err := r.out.Decode(&v); err != nil {
			m.t.Fatal(err)
		}
		switch {
		case v.Session != "" || v.Set:
			winners, winner = winners+1, i
		case !slices.Contains(losers, mfa.Reason(v.Refused)):
			m.t.Fatalf("%s: a loser got reason %q, error %q", what, v.Refused, v.Failed)
		}
	}
	if winners != 1 {
		m.t.Fatalf("%s: %d of %d processes won, want 1", what, winners, len(m.racers))
	}
	return winner
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
	m := newMatch(t)
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

// TestR25_FourProcesses: a link to a new password sets one, however many processes
// are given it at the same time, and no other password signs in.
func TestR25_FourProcesses(t *testing.T) {
	m := newMatch(t)
	for n := range mfatest.Rounds(1000) {
		user := "racer" + strconv.Itoa(n)
		const before = "what it was until it was forgotten"
		if err := m.kit.Guard.SetPassword(t.Context(), user, before); err != nil {
			t.Fatal(err)
		}
		link := m.link(user)
		password := func(i int) string { return "typed at process " + strconv.Itoa(i) }
		winner := m.run("one link to a new password", []mfa.Reason{mfa.ReasonNotFound}, func(i int) task {
			return task{Token: link, Password: password(i)}
		})
		signsIn := func(password string) bool {
			// Without an address there is no budget of a network to use up.
			_, err := m.kit.Guard.SignInPassword(t.Context(), user, password, mfa.SignIn{})
			if err != nil && !errors.Is(err, mfa.ErrRefused) {
				t.Fatal(err)
			}
			return err == nil
		}
		for i := range m.racers {
			if in := signsIn(password(i)); in != (i == winner) {
				t.Fatalf("the password of process %d signs in: %t; process %d won", i, in, winner)
			}
		}
		if signsIn(before) {
			t.Fatal("the password from before still signs in")
		}
	}
}

// link returns the token of a link that was mailed to a user.
func (m *match) link(user string) string {
	m.t.Helper()
	m.kit.Inbox.Take()
	send, err := m.kit.Guard.Recover(m.t.Context(), user, mfa.Client{})
	if err != nil {
		m.t.Fatal(err)
	}
	if err := send(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	mails := m.kit.Inbox.Take()
	if len(mails) != 1 || mails[0].Token() == "" {
		m.t.Fatalf("%d mails, want one with a link", len(mails))
	}
	return mails[0].Token()
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
