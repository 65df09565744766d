package mfa_test

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// parseKeys returns a ring of the keys in text.
func parseKeys(t testing.TB, text string) mfa.Keys {
	t.Helper()
	keys, err := mfa.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// A meter counts the calls of a store.
type meter struct {
	mfa.Store
	mu             sync.Mutex
	reads, commits int
}

func (m *meter) Get(ctx context.Context, keys ...mfa.Key) ([]mfa.Record, error) {
	m.count(&m.reads)
	return m.Store.Get(ctx, keys...)
}

func (m *meter) List(ctx context.Context, owner string, kinds ...string) ([]mfa.Record, error) {
	m.count(&m.reads)
	return m.Store.List(ctx, owner, kinds...)
}

func (m *meter) Commit(ctx context.Context, writes ...mfa.Write) error {
	m.count(&m.commits)
	return m.Store.Commit(ctx, writes...)
}

func (m *meter) count(n *int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*n++
}

// calls returns how many reads and commits there were so far.
func (m *meter) calls() [2]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return [2]int{m.reads, m.commits}
}

// withKeys makes k's guard anew, with other keys: a later deployment over the same
// store.
func withKeys(t testing.TB, k *mfatest.Kit, keys string) {
	t.Helper()
	k.Config.Keys = parseKeys(t, keys)
	g, err := mfa.New(k.Config)
	if err != nil {
		t.Fatal(err)
	}
	k.Guard = g
}

// newKeyKit returns a kit with the keys in text and a user ann.
func newKeyKit(t testing.TB, keys string, options ...func(*mfa.Config)) *mfatest.Kit {
	t.Helper()
	k := mfatest.New(t, append(options, func(c *mfa.Config) { c.Keys = parseKeys(t, keys) })...)
	k.Users.Add(mfa.User{ID: "ann", Name: "ann@example.com"})
	return k
}

// recordsOf returns what is stored of a user, sorted by kind and id.
func recordsOf(t testing.TB, s mfa.Store, user string) []mfa.Record {
	t.Helper()
	records, err := s.List(context.Background(), "u/"+user)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(records, func(a, b mfa.Record) int { return strings.Compare(a.Kind+"/"+a.ID, b.Kind+"/"+b.ID) })
	return records
}

// recordOf returns the user's only record of a kind.
func recordOf(t testing.TB, s mfa.Store, user, kind string) mfa.Record {
	t.Helper()
	records := slices.DeleteFunc(recordsOf(t, s, user), func(r mfa.Record) bool { return r.Kind != kind })
	if len(records) != 1 {
		t.Fatalf("%d records of kind %s, want 1", len(records), kind)
	}
	return records[0]
}

// overwrite replaces records behind the library's back.
func overwrite(t testing.TB, s mfa.Store, records ...mfa.Record) {
	t.Helper()
	for _, r := range records {
		now, err := s.Get(context.Background(), r.Key)
		if err == nil {
			err = s.Commit(context.Background(), mfa.Write{Record: r, IfVersion: now[0].Version})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// edit changes the user's only record of a kind as whoever has the keys could.
func edit[T any](t testing.TB, k *mfatest.Kit, user, kind string, change func(*T)) {
	t.Helper()
	r := recordOf(t, k.Config.Store, user, kind)
	var d T
	err := mfa.OpenRecord(k.Guard, r, &d)
	if err == nil {
		change(&d)
		r.Data, err = json.Marshal(d)
	}
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, k.Config.Store, mfa.SignRecord(k.Guard, r))
}

// TestParseKeys checks good and bad text. The refusals are of a closed set, none
// of which holds a byte of what was read.
func TestParseKeys(t *testing.T) {
	key := mfa.NewKey()
	for name, text := range map[string]string{
		"empty": "", "short": key[:30], "twice": key + "," + key, "wrong prefix": "x" + key,
		"17 keys": strings.Repeat(key+" ", 17), "not canonical": "mfakey1_" + strings.Repeat("A", 42) + "B",
	} {
		if _, err := mfa.ParseKeys(text); !errors.Is(err, mfa.ErrInvalid) || !harmlessKeyError(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"one": key, "with a line": key + "\n", "two": key + "," + mfa.NewKey(), "indented": "\t" + key + "\r\n\t" + mfa.NewKey() + "\r\n",
	} {
		if _, err := mfa.ParseKeys(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if other := mfa.NewKey(); other == key || len(other) != len(key) {
		t.Errorf("NewKey returned %s after %s", other, key)
	}
}

var keyErrors = regexp.MustCompile(`^mfa: invalid argument: keys: (no key|\d{1,7} keys, want at most 16|` +
	`key \d{1,2} (does not begin with mfakey1_|is not 32 bytes of base64url|is in the ring already))$`)

func harmlessKeyError(err error) bool { return keyErrors.MatchString(err.Error()) }

// FuzzKeys checks that what parses is 1 to 16 keys, each of which parses alone and
// belongs to the ring, the first making what the ring makes, and that what does
// not parse is refused without a word of it.
func FuzzKeys(f *testing.F) {
	const zeros = "mfakey1_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	const count = "mfakey1_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
	for _, s := range []string{zeros, zeros + "," + count, count + "\r\n" + zeros + "\t", zeros + zeros, zeros + "\n" + zeros, "", ",", count[:40]} {
		f.Add(s)
	}
	guard := func(t *testing.T, text string) (*mfa.Guard, error) {
		keys, err := mfa.ParseKeys(text)
		if err != nil {
			return nil, err
		}
		c := newConfig(t)
		c.Keys = keys
		return mfa.New(c)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ring, err := guard(t, text)
		if err != nil {
			if !harmlessKeyError(err) {
				t.Errorf("the error may show a key: %v", err)
			}
			return
		}
		fields := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,\n\t\r", r) })
		if len(fields) < 1 || len(fields) > 16 {
			t.Fatalf("%d keys are accepted", len(fields))
		}
		made := mfa.SignRecord(ring, mfa.Record{Key: mfa.Key{Owner: "u/ann", Kind: "account"}, Data: []byte(`{"v":1}`)})
		for i, field := range fields {
			one, err := guard(t, field)
			if err != nil || len(field) != len(zeros) {
				t.Fatalf("key %d parses among others only: %v", i+1, err)
			}
			var d mfa.AccountData
			if err := mfa.OpenRecord(ring, mfa.SignRecord(one, made), &d); err != nil {
				t.Errorf("key %d is not in the ring: %v", i+1, err)
			}
			if err := mfa.OpenRecord(one, made, &d); (err == nil) != (i == 0) {
				t.Errorf("the ring makes with another key than its first: %d, %v", i+1, err)
			}
		}
	})
}

// TestR26_SecretsSealed: R26 asks at least 160 bits of every authenticator's
// secret, sealed with the id of the key, for this user and this authenticator.
func TestR26_SecretsSealed(t *testing.T) {
	for _, c := range []struct {
		name      string
		algorithm mfa.Algorithm
		size      int
	}{{"SHA-1", mfa.SHA1, 20}, {"SHA-256", mfa.SHA256, 32}, {"SHA-512", mfa.SHA512, 64}} {
		t.Run(c.name, func(t *testing.T) {
			first, second := mfa.NewKey(), mfa.NewKey()
			k := newKeyKit(t, first+","+second, func(config *mfa.Config) { config.Policy.TOTP.Algorithm = c.algorithm })
			setup := startTOTP(t, k.Guard, "ann")
			secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(setup.Secret(), " ", ""))
			if err != nil || len(secret) != c.size || len(slices.Compact(slices.Sorted(slices.Values(secret)))) < c.size/3 {
				t.Fatalf("a secret of %d bytes, want %d random ones: %v", len(secret), c.size, err)
			}
			var d mfa.PendingData
			if err := mfa.OpenRecord(k.Guard, recordOf(t, k.Config.Store, "ann", "pending"), &d); err != nil {
				t.Fatal(err)
			}
			sealed, id := d.Staged.Sealed, d.Staged.ID
			if got, err := mfa.OpenSealed(k.Guard, sealed, "ann", "totp", id); err != nil || string(got) != string(secret) {
				t.Errorf("sealed is %x, %v, want what the user saw", got, err)
			}
			for _, place := range [][3]string{{"bob", "totp", id}, {"ann", "codes", id}, {"ann", "totp", id + "x"}, {"ann", "totp", ""}} {
				if _, err := mfa.OpenSealed(k.Guard, sealed, place[0], place[1], place[2]); err == nil {
					t.Errorf("opens at %q", place)
				}
			}
			withKeys(t, k, second)
			if _, err := mfa.OpenSealed(k.Guard, sealed, "ann", "totp", id); err == nil {
				t.Error("not sealed with the first key")
			}
		})
	}
}

// TestR26_CopiedSecretStaysShut: R26 binds a sealed secret to its owner. Copied
// into another user's account, even under a valid version, it lets nobody in.
func TestR26_CopiedSecretStaysShut(t *testing.T) {
	k := newKeyKit(t, mfa.NewKey())
	k.Users.Add(mfa.User{ID: "bob"})
	thief, _, _ := k.Enroll(t, "ann")
	victim, _, _ := k.Enroll(t, "bob")
	var stolen mfa.AccountData
	if err := mfa.OpenRecord(k.Guard, recordOf(t, k.Config.Store, "ann", "account"), &stolen); err != nil {
		t.Fatal(err)
	}
	edit(t, k, "bob", "account", func(d *mfa.AccountData) { d.TOTP = stolen.TOTP })
	p := k.SignIn(t, "bob").Pending
	if p == nil || p.Need().Step != mfa.StepVerify {
		t.Fatalf("the copied authenticator asks for %+v", p)
	}
	for name, app := range map[string]*mfatest.Authenticator{"thief": thief, "victim": victim} {
		out, err := p.Verify(t.Context(), mfa.Proof{Method: mfa.TOTP, Code: app.Code(k.Clock.Now())})
		if out.Session != nil || !errors.Is(err, mfa.ErrRefused) {
			t.Errorf("%s: session %t, %v", name, out.Session != nil, err)
		}
		// The code has the right form: "malformed" would send its user to the wrong fault.
		if mfa.ReasonOf(err) == mfa.ReasonMalformedCode {
			t.Errorf("%s: a code that cannot be compared is called malformed", name)
		}
	}
}
