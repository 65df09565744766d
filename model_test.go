package mfa_test

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// A shaky store goes wrong once, in the way that it is told, and keeps everything
// that was ever written.
type shaky struct {
	mfa.Store
	mode    string
	written bytes.Buffer
}

var errShaky = errors.New("the store is down")

func (s *shaky) Get(ctx context.Context, keys ...mfa.Key) ([]mfa.Record, error) {
	if s.once("read") {
		return nil, errShaky
	}
	return s.Store.Get(ctx, keys...)
}

func (s *shaky) List(ctx context.Context, owner string, kinds ...string) ([]mfa.Record, error) {
	if s.once("read") {
		return nil, errShaky
	}
	return s.Store.List(ctx, owner, kinds...)
}

func (s *shaky) Commit(ctx context.Context, writes ...mfa.Write) error {
	if s.once("before") {
		return errShaky
	}
	if s.once("conflict") {
		return mfa.ErrConflict
	}
	err := s.Store.Commit(ctx, writes...)
	for _, w := range writes {
		s.written.Write(w.Data)
		s.written.WriteByte('\n')
	}
	switch {
	case s.once("after"):
		return errShaky
	case s.once("met itself"):
		return mfa.ErrConflict
	case s.once("deaf"): // applied, and nobody learns of it
		s.mode = "read"
		return errShaky
	}
	return err
}

// once reports whether the store is to go wrong in this way, and ends that.
func (s *shaky) once(mode string) bool {
	if s.mode != mode {
		return false
	}
	s.mode = ""
	return true
}

// A person is one user of the model: what she holds and what was made of it.
type person struct {
	id       string
	apps     []*mfatest.Authenticator
	codes    []string // every backup code ever shown to her
	spent    map[string]bool
	flows    []track
	sessions []string // tokens, some of them void
	ended    []string // tokens that must never work again
	proofs   map[mfa.Proven]bool
}

// A track is one flow: its token and that of the session that opened it.
type track struct{ token, session string }

// A machine drives a guard by random operations of three users and compares what
// happens with what may.
type machine struct {
	kit    *mfatest.Kit
	t      *testing.T
	store  *shaky
	rules  mfa.Rules
	people []*person
	// reached counts how operations ended, over all runs: by method and reason.
	reached map[string]int
}

func newMachine(t *testing.T, rt *rapid.T, reached map[string]int) *machine {
	m := &machine{t: t, reached: reached, rules: mfa.Rules{Require: mfa.Require(rapid.IntRange(0, 2).Draw(rt, "require"))}}
	m.kit = mfatest.New(t, rules(m.rules), func(c *mfa.Config) {
		m.store = &shaky{Store: c.Store}
		c.Store = m.store
	})
	for _, id := range []string{"ann", "bob", "cyn"} {
		m.kit.Users.Add(mfa.User{ID: id})
		p := &person{id: id, spent: make(map[string]bool), proofs: make(map[mfa.Proven]bool)}
		m.people = append(m.people, p)
		if id == "cyn" { // begins with nothing
			continue
		}
		at := m.kit.Clock.Now()
		app, s, codes := m.kit.Enroll(t, id)
		p.apps, p.codes, p.sessions = append(p.apps, app), codes, append(p.sessions, s.Token())
		p.proofs[mfa.Proven{Method: mfa.TOTP, At: at}] = true
	}
	return m
}

// A snapshot is what is stored about one user.
type snapshot struct {
	versions map[mfa.Key]string
	account  mfa.AccountData
}

func (m *machine) snapshot(p *person) snapshot {
	s := snapshot{versions: make(map[mfa.Key]string)}
	records, err := m.store.Store.List(m.t.Context(), "u/"+p.id)
	for _, r := range records {
		s.versions[r.Key] = r.Version
		if r.Kind == "account" && err == nil {
			err = mfa.OpenRecord(m.kit.Guard, r, &s.account)
		}
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return s
}

// An operation is what a person does, and what it proves when it succeeds.
type operation struct {
	person *person
	track  track     // of the flow that it is a step of
	proof  mfa.Proof // zero: none
	step   int64     // of an app's code
	signIn bool      // it may lead to a session without one
	resets bool      // counts may go down
	run    func() (mfa.Outcome, error)
}

// do runs an operation on a store that may go wrong, and checks what must hold of
// every operation. It reports whether it succeeded.
func (m *machine) do(rt *rapid.T, op *operation) (mfa.Outcome, bool) {
	m.store.mode = rapid.SampledFrom([]string{
		"", "", "", "", "", "", "before", "conflict", "after", "met itself", "deaf", "read",
	}).Draw(rt, "store")
	p := op.person
	before := make(map[*person]snapshot)
	for _, q := range m.people {
		before[q] = m.snapshot(q)
	}
	out, err := op.run()
	m.store.mode = ""
	after := m.snapshot(p)
	unknown := errors.Is(err, mfa.ErrUnavailable)
	m.reached[strings.TrimSpace(op.proof.Method.String()+" "+string(mfa.ReasonOf(err)))]++
	if err == nil || unknown {
		if op.proof != (mfa.Proof{}) {
			p.proofs[mfa.Proven{Method: op.proof.Method, At: m.kit.Clock.Now()}] = true
		}
	}
	for q, was := range before {
		if q != p && !maps.Equal(was.versions, m.snapshot(q).versions) {
			rt.Fatalf("an operation of %s changed what is stored about %s", p.id, q.id)
		}
	}
	if err != nil && out != (mfa.Outcome{}) {
		rt.Fatalf("an outcome beside the error %v", err)
	}
	why := mfa.ReasonOf(err)
	counted := why == mfa.ReasonWrongCode || why == mfa.ReasonTOTPReused
	if err != nil && !unknown && !counted && !maps.Equal(before[p].versions, after.versions) {
		rt.Fatalf("refused (%v, %s), and something changed", err, why)
	}
	if err == nil {
		m.accepted(rt, op, before[p].account, after.account)
	}
	m.counts(rt, op, err == nil || unknown, before[p].account, after.account)
	if out.Session != nil {
		m.justified(rt, op, out.Session, after.account)
		if token := out.Session.Token(); !slices.Contains(p.sessions, token) {
			p.sessions = append(p.sessions, token)
			p.ended = append(p.ended, op.track.session)
		}
	}
	if out.Pending != nil {
		p.flows = append(p.flows, track{out.Pending.Token(), op.track.session})
		p.codes = append(p.codes, out.Pending.BackupCodes().Reveal()...)
	}
	return out, err == nil
}

// accepted checks that a proof that was accepted had never been before.
func (m *machine) accepted(rt *rapid.T, op *operation, before, after mfa.AccountData) {
	p := op.person
	switch op.proof.Method {
	case mfa.BackupCode:
		if p.spent[op.proof.Code] {
			rt.Fatalf("backup code %q was accepted twice", op.proof.Code)
		}
		if after.CodeSet == before.CodeSet && len(after.Codes) != len(before.Codes)-1 {
			rt.Fatalf("a backup code was accepted: %d before, %d after", len(before.Codes), len(after.Codes))
		}
		p.spent[op.proof.Code] = true
	case mfa.TOTP:
		key := fmt.Sprint(op.proof.Code, op.step)
		if p.spent[key] {
			rt.Fatalf("the code of step %d was accepted twice", op.step)
		}
		p.spent[key] = true
	}
}

// counts checks that no count goes down but by a success of its method, that no
// app goes back a step, and that a suspicion stays.
func (m *machine) counts(rt *rapid.T, op *operation, succeeded bool, before, after mfa.AccountData) {
	if op.resets && succeeded {
		return
	}
	for method, was := range before.Tries {
		if after.Tries[method].Wrong < was.Wrong && !(succeeded && op.proof.Method.String() == method) {
			rt.Fatalf("%s went from %d wrong to %d without a success", method, was.Wrong, after.Tries[method].Wrong)
		}
	}
	for _, was := range before.TOTP {
		for _, is := range after.TOTP {
			if is.ID == was.ID && is.Step < was.Step {
				rt.Fatalf("an app went back from step %d to %d", was.Step, is.Step)
			}
		}
	}
	if before.Compromised && !after.Compromised || before.MustEnroll && !after.MustEnroll && len(after.TOTP) == 0 {
		rt.Fatalf("forgotten: compromised or must enroll")
	}
}

// justified checks that a session stands on what it says it does, and that it says
// enough.
func (m *machine) justified(rt *rapid.T, op *operation, s *mfa.Session, account mfa.AccountData) {
	p := op.person
	if s.User() != p.id {
		rt.Fatalf("a session of %s for %s", s.User(), p.id)
	}
	proofs := s.Assurance().Proofs
	for _, proof := range proofs {
		if !p.proofs[mfa.Proven{Method: proof.Method, At: proof.At}] {
			rt.Fatalf("a session of %s claims %v at %v, which was never proven", p.id, proof.Method, proof.At)
		}
	}
	held := len(account.TOTP) > 0
	switch {
	case account.Disabled || account.Forgotten:
		rt.Fatalf("a session of a user who is disabled or forgotten")
	case !op.signIn:
	case held && (account.Ask || m.rules.Require == mfa.RequireAtSignIn) && len(proofs) == 0:
		rt.Fatalf("signed in without the factor that is held and asked for")
	case !held && (account.MustEnroll || m.rules.Require == mfa.RequireAtSignIn):
		rt.Fatalf("signed in without enrolling")
	case account.Compromised:
		rt.Fatalf("signed in with a compromised password")
	}
}

// needles are a person's secrets in every form that could show up.
func (m *machine) needles(p *person) []string {
	var list []string
	for _, c := range p.codes {
		plain := strings.ReplaceAll(c, "-", "")
		list = append(list, c, plain, plain[2:])
	}
	for _, text := range slices.Concat(p.sessions, p.ended) {
		list = append(list, text, string(mfa.TokenSecret(m.kit.Guard, "session", text)))
	}
	for _, f := range p.flows {
		list = append(list, f.token, string(mfa.TokenSecret(m.kit.Guard, "pending", f.token)))
	}
	for _, a := range m.snapshot(p).account.TOTP {
		raw, err := mfa.OpenSealed(m.kit.Guard, a.Sealed, p.id, "totp", a.ID)
		if err != nil {
			m.t.Fatal(err)
		}
		list = append(list, string(raw), base32.StdEncoding.EncodeToString(raw), base64.StdEncoding.EncodeToString(raw), hex.EncodeToString(raw))
	}
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

// TestModel runs random operations of three users, with the clock going on and
// back and a store that goes wrong: no proof is accepted twice, no session stands
// without its proofs, no count goes down without a success, what is refused
// changes nothing, what was ended stays ended, and no secret is in anything that
// was ever written or told.
func TestModel(t *testing.T) {
	for name, value := range map[string]string{
		"rapid.checks": strconv.Itoa(mfatest.Rounds(10000)), "rapid.nofailfile": "true",
	} {
		if f := flag.Lookup(name); f.Value.String() == f.DefValue { // not asked for otherwise
			if err := f.Value.Set(value); err != nil {
				t.Fatal(err)
			}
		}
	}
	reached := make(map[string]int)
	rapid.Check(t, func(rt *rapid.T) {
		m := newMachine(t, rt, reached)
		rt.Repeat(rapid.StateMachineActions(m))
		events := m.kit.Events.Take()
		told, err := json.Marshal(events)
		if err != nil {
			rt.Fatal(err)
		}
		told = fmt.Appendf(told, "%+v", events)
		for _, p := range m.people {
			for _, token := range p.ended {
				if _, err := m.kit.Guard.Session(t.Context(), token, mfatest.Laptop()); !errors.Is(err, mfa.ErrNoSession) {
					rt.Fatalf("a session that was ended works again: %v", err)
				}
			}
			for _, s := range m.needles(p) {
				if bytes.Contains(m.store.written.Bytes(), []byte(s)) || bytes.Contains(told, []byte(s)) {
					rt.Fatalf("a secret of %s was written or told: %q", p.id, s)
				}
			}
		}
	})
	for _, end := range []string{
		"totp", "totp wrong_code", "totp totp_reused", "totp method_locked", "totp already_completed", "totp store_failed",
		"backup_code", "proof_too_old",
	} {
		if reached[end] == 0 {
			t.Errorf("no operation ended with %q: the model does not get there", end)
		}
	}
	t.Log(reached)
}

// Check is called after each operation: what is stored stays within its bounds.
func (m *machine) Check(rt *rapid.T) {
	for _, p := range m.people {
		s := m.snapshot(p)
		kinds := make(map[string]int)
		for key := range s.versions {
			kinds[key.Kind]++
		}
		if len(s.account.TOTP) > 3 || len(s.account.Codes) > 10 || kinds["session"] > 20 || kinds["pending"] > 16+1 {
			rt.Fatalf("%s has %d apps, %d codes, %v", p.id, len(s.account.TOTP), len(s.account.Codes), kinds)
		}
		if len(s.account.TOTP) == 0 && len(s.account.Codes) > 0 {
			rt.Fatalf("%s has backup codes and no app", p.id)
		}
	}
}
