package sqlstore_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
	"github.com/seed-1320b244/mfa/sqlstore"
)

// processes is how many operating-system processes race.
const processes = 4

// workerEnv holds a workplace. A test binary that finds it there is a worker.
const workerEnv = "MFA_SQLSTORE_TEST_WORKER"

func TestMain(m *testing.M) {
	if place := os.Getenv(workerEnv); place != "" {
		if err := work(place); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	_ = mysql.SetLogger(&mysql.NopLogger{}) // it prints every connection that a test breaks
	os.Exit(m.Run())
}

// A workplace is what a worker needs to build the same guard.
type workplace struct {
	Driver, DSN, Prefix, Key string
	Dialect                  sqlstore.Dialect
}

// A job is one request at one moment: a proof, with Session a visit, or with Link a
// new password. With Tour it is the last one, and as many requests as there is time
// for.
type job struct {
	User, Pending, Code string
	Session             string // the token
	Link, Password      string // likewise
	Method              mfa.Method
	Tour                []stop    // what to visit, in turn, at the door of acme
	Now, At             time.Time // what the guard's clock shows; when to start
}

type result struct {
	Session string // its token: the proof was accepted
	Set     bool   // the password was
	Reason  mfa.Reason
	Err     string
}

// work answers jobs from standard input until it ends.
func work(text string) error {
	var p workplace
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	s := service{p.Driver, p.DSN, p.Dialect, p.Prefix}
	guard, users, clock, err := s.guard(p.Key)
	if err != nil {
		return err
	}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var j job
		if err := in.Decode(&j); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		users.Add(person(j.User))
		clock.Advance(j.Now.Sub(clock.Now()))
		if j.Tour != nil {
			return j.tour(guard, users, in, out)
		}
		<-time.After(time.Until(j.At))
		if err := out.Encode(give(context.Background(), guard, j)); err != nil {
			return err
		}
	}
}

// person returns a user to whom a link can be mailed.
func person(id string) mfa.User {
	return mfa.User{ID: id, Email: id + "@example.org", EmailVerified: true}
}

func give(ctx context.Context, guard *mfa.Guard, j job) result {
	if j.Link != "" {
		if err := guard.ResetPassword(ctx, j.Link, j.Password, mfatest.Laptop()); err != nil {
			return result{Reason: mfa.ReasonOf(err), Err: err.Error()}
		}
		return result{Set: true}
	}
	if j.Session != "" {
		if _, err := guard.Session(ctx, j.Session, mfatest.Laptop()); err != nil {
			return result{Reason: mfa.ReasonOf(err), Err: err.Error()}
		}
		return result{Session: j.Session}
	}
	p, err := guard.Pending(ctx, j.Pending, "", mfatest.Laptop())
	var outcome mfa.Outcome
	if err == nil {
		outcome, err = p.Verify(ctx, mfa.Proof{Method: j.Method, Code: j.Code})
	}
	if err != nil {
		return result{Reason: mfa.ReasonOf(err), Err: err.Error()}
	}
	return result{Session: outcome.Session.Token()}
}

// A crew is the workers on one store.
type crew struct {
	in  [processes]*json.Encoder
	out [processes]*json.Decoder
	end [processes]func() error // lets the worker end
}

func newCrew(t *testing.T, s service, key string) *crew {
	t.Helper()
	place, err := json.Marshal(workplace{s.driver, s.dsn, s.prefix, key, s.dialect})
	if err != nil {
		t.Fatal(err)
	}
	var c crew
	for i := range processes {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), workerEnv+"="+string(place))
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
			in.Close() // ends it
			if err := cmd.Wait(); err != nil {
				t.Errorf("worker %d: %v", i, err)
			}
		})
		c.in[i], c.out[i], c.end[i] = json.NewEncoder(in), json.NewDecoder(out), in.Close
	}
	return &c
}

// race gives each worker its job, to be started at the same moment.
func (c *crew) race(t *testing.T, jobs [processes]job) (results [processes]result) {
	t.Helper()
	at := time.Now().Add(3 * time.Millisecond)
	for i, j := range jobs {
		j.At = at
		if err := c.in[i].Encode(j); err != nil {
			t.Fatal(err)
		}
	}
	for i := range jobs {
		if err := c.out[i].Decode(&results[i]); err != nil {
			t.Fatalf("worker %d: %v", i, err)
		}
	}
	return results
}

// guard returns a guard on this database, and its directory and clock.
func (s service) guard(key string) (*mfa.Guard, *mfatest.Users, *mfatest.Clock, error) {
	db, err := sql.Open(s.driver, s.dsn)
	if err != nil {
		return nil, nil, nil, err
	}
	store, err := sqlstore.New(db, s.dialect, sqlstore.Options{Prefix: s.prefix})
	if err != nil {
		return nil, nil, nil, err
	}
	keys, err := mfa.ParseKeys(key)
	if err != nil {
		return nil, nil, nil, err
	}
	users, clock := new(mfatest.Users), mfatest.NewClock(time.Unix(0, 0))
	guard, err := mfa.New(mfa.Config{
		Issuer: "Example", Store: store, Users: users, Keys: keys, Now: clock.Now, InsecureFastHashing: true,
		Notifier: new(mfatest.Inbox),
	})
	return guard, users, clock, err
}

// onProcesses runs a test on each kind of server and isolation, with a crew of
// processes and a guard of the test's own.
func onProcesses(t *testing.T, test func(t *testing.T, kit *mfatest.Kit, c *crew)) {
	for name, s := range map[string]service{
		"postgres":                 postgres(),
		"postgres-repeatable-read": postgres("default_transaction_isolation=repeatable%20read"),
		"postgres-serializable":    postgres("default_transaction_isolation=serializable"),
		"mariadb":                  mariadb(),
		"sqlite":                   sqliteFile(t),
	} {
		t.Run(name, func(t *testing.T) {
			store, _ := s.store(t)
			key := mfa.NewKey()
			keys, err := mfa.ParseKeys(key)
			if err != nil {
				t.Fatal(err)
			}
			kit := mfatest.New(t, func(c *mfa.Config) { c.Store, c.Keys = store, keys })
			test(t, kit, newCrew(t, s, key))
		})
	}
}

// One code, one backup code and one flow lead to one session, whatever process
// each request reaches (R1 and R2 across processes).
func TestRow_E1_FourProcesses(t *testing.T) {
	onProcesses(t, func(t *testing.T, kit *mfatest.Kit, c *crew) {
		for n := range mfatest.Rounds(1000) {
			raceUser(t, kit, c, "user-"+strconv.Itoa(n))
		}
	})
}

// TestR5_FourProcesses: R5 counts a wrong proof in the commit that answers it. Of
// eight wrong codes on four processes five are counted, and the rest meet the
// wait: none slips through because two processes counted at once.
func TestR5_FourProcesses(t *testing.T) {
	onProcesses(t, func(t *testing.T, kit *mfatest.Kit, c *crew) {
		kit.Users.Add(mfa.User{ID: "ada"})
		app, _, _ := kit.Enroll(t, "ada")
		now := kit.Clock.Now()
		seen := make(map[mfa.Reason]int)
		flow := make(chan string, 2*processes)
		for range cap(flow) {
			flow <- kit.SignIn(t, "ada").Pending.Token()
		}
		for range 2 {
			var jobs [processes]job
			for i := range jobs {
				jobs[i] = job{User: "ada", Pending: <-flow, Method: mfa.TOTP, Code: app.Wrong(now), Now: now}
			}
			for _, r := range c.race(t, jobs) {
				seen[r.Reason]++
			}
		}
		if seen[mfa.ReasonWrongCode] != 5 || seen[mfa.ReasonMethodLocked] != 3 {
			t.Errorf("eight wrong codes: %v, want 5 counted and 3 locked out", seen)
		}
	})
}

// TestR15_FourProcesses: R15 has a revoked session fail on its next request, on
// every process.
func TestR15_FourProcesses(t *testing.T) {
	onProcesses(t, func(t *testing.T, kit *mfatest.Kit, c *crew) {
		kit.Users.Add(mfa.User{ID: "ada"})
		for range mfatest.Rounds(200) {
			s := kit.SignIn(t, "ada").Session
			var jobs [processes]job
			for i := range jobs {
				jobs[i] = job{User: "ada", Session: s.Token(), Now: kit.Clock.Now()}
			}
			for _, r := range c.race(t, jobs) {
				if r.Session == "" {
					t.Fatalf("a live session: %s", r.Err)
				}
			}
			if err := s.Revoke(t.Context(), s.ID()); err != nil {
				t.Fatal(err)
			}
			for _, r := range c.race(t, jobs) {
				if r.Reason != mfa.ReasonNotFound {
					t.Fatalf("a revoked session: %q, %s, want %q", r.Reason, r.Err, mfa.ReasonNotFound)
				}
			}
		}
	})
}

// TestR25_FourProcesses: R25 has a link to a new password be good for one. Of four
// processes that are each given a password with it, one sets hers, and no other
// password signs in.
func TestR25_FourProcesses(t *testing.T) {
	onProcesses(t, func(t *testing.T, kit *mfatest.Kit, c *crew) {
		for n := range mfatest.Rounds(1000) {
			raceLink(t, kit, c, "user-"+strconv.Itoa(n))
		}
	})
}

func raceLink(t *testing.T, kit *mfatest.Kit, c *crew, user string) {
	t.Helper()
	const before = "what it was until it was forgotten"
	kit.Users.Add(person(user))
	if err := kit.Guard.SetPassword(t.Context(), user, before); err != nil {
		t.Fatal(err)
	}
	kit.Inbox.Take()
	send, err := kit.Guard.Recover(t.Context(), user, mfa.Client{})
	if err != nil {
		t.Fatal(err)
	}
	if err := send(t.Context()); err != nil {
		t.Fatal(err)
	}
	mails := kit.Inbox.Take()
	if len(mails) != 1 || mails[0].Token() == "" {
		t.Fatalf("%d mails, want one with a link", len(mails))
	}

	var jobs [processes]job
	for i := range jobs {
		jobs[i] = job{User: user, Link: mails[0].Token(), Password: "typed at process " + strconv.Itoa(i), Now: kit.Clock.Now()}
	}
	results := c.race(t, jobs)
	set := 0
	for i, r := range results {
		if r.Set {
			set++
		} else if r.Reason != mfa.ReasonNotFound {
			t.Errorf("a loser got %q, %s, want %q", r.Reason, r.Err, mfa.ReasonNotFound)
		}
		if in := signsIn(t, kit, user, jobs[i].Password); in != r.Set {
			t.Errorf("process %d set its password: %t; that signs in: %t", i, r.Set, in)
		}
	}
	if set != 1 {
		t.Fatalf("one link to a new password: %d winners, want 1: %+v", set, results)
	}
	if signsIn(t, kit, user, before) {
		t.Error("the password from before still signs in")
	}
}

func signsIn(t *testing.T, kit *mfatest.Kit, user, password string) bool {
	t.Helper()
	// Without an address there is no budget of a network to use up.
	_, err := kit.Guard.SignInPassword(t.Context(), user, password, mfa.SignIn{})
	if err != nil && !errors.Is(err, mfa.ErrRefused) {
		t.Fatal(err)
	}
	return err == nil
}

// raceUser has the processes race for everything that a new user has once.
func raceUser(t *testing.T, kit *mfatest.Kit, c *crew, user string) {
	t.Helper()
	kit.Users.Add(mfa.User{ID: user})
	app, _, codes := kit.Enroll(t, user)
	now := kit.Clock.Now()
	flow := func() string { return kit.SignIn(t, user).Pending.Token() }

	var jobs [processes]job
	for i := range jobs {
		jobs[i] = job{User: user, Pending: flow(), Method: mfa.TOTP, Code: app.Code(now), Now: now}
	}
	won(t, kit, "one authenticator code in four flows", c.race(t, jobs), mfa.ReasonTOTPReused)
	for i := range jobs {
		jobs[i] = job{User: user, Pending: flow(), Method: mfa.BackupCode, Code: codes[0], Now: now}
	}
	won(t, kit, "one backup code in four flows", c.race(t, jobs), mfa.ReasonWrongCode)
	one := flow()
	for i := range jobs {
		jobs[i] = job{User: user, Pending: one, Method: mfa.BackupCode, Code: codes[1+i], Now: now}
	}
	won(t, kit, "four backup codes in one flow", c.race(t, jobs), mfa.ReasonAlreadyCompleted)
}

// won checks that one process was given a session, a real one, and that the
// others were refused for this reason.
func won(t *testing.T, kit *mfatest.Kit, what string, results [processes]result, refused mfa.Reason) {
	t.Helper()
	winners := 0
	for _, r := range results {
		switch {
		case r.Session != "":
			winners++
			if _, err := kit.Guard.Session(t.Context(), r.Session, mfatest.Laptop()); err != nil {
				t.Errorf("%s: the winner's session: %v", what, err)
			}
		case r.Reason != refused:
			t.Errorf("%s: a loser got %q, %s, want %q", what, r.Reason, r.Err, refused)
		}
	}
	if winners != 1 {
		t.Fatalf("%s: %d winners, want 1: %+v", what, winners, results)
	}
}
