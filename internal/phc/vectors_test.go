package phc_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa/internal/phc"
)

// published is testdata/passwordhash.json: published vectors, the source of each
// beside it.
type published struct {
	Argon2id       []vector `json:"argon2id_kat"`
	Argon2idWrong  []vector `json:"argon2id_mismatch"`
	Argon2idBroken []vector `json:"argon2id_bad_encoding"`
	Bcrypt         []vector `json:"bcrypt_kat"`
	BcryptWrong    []vector `json:"bcrypt_mismatch"`
	BcryptBroken   []vector `json:"bcrypt_bad_encoding"`
	Bcrypt72       struct {
		Prefix72, Longer, Hash string
	} `json:"bcrypt_72_byte_limit"`
	PBKDF2 []vector `json:"pbkdf2_kat"`
	Floor  struct {
		Argon2id []struct {
			M int `json:"m_kib"`
			T int
			P int
		}
		BcryptMinCost  int `json:"bcrypt_min_cost"`
		BcryptMaxBytes int `json:"bcrypt_max_bytes"`
		Scrypt         []struct{ N, R, P int }
		SHA256         int            `json:"pbkdf2_hmac_sha256_iterations"`
		SHA512         map[string]int `json:"pbkdf2_hmac_sha512_iterations"`
	} `json:"parameter_floor"`
	NeedsRehash []struct {
		PHC         string
		NeedsRehash bool `json:"needs_rehash"`
		Policy      struct {
			M uint32 `json:"m_kib"`
			T uint32
		}
	} `json:"needs_rehash"`
}

type vector struct {
	Password, PHC, Hash, Reason string
	Slow                        bool
	Algorithm, Hex              string
	Salt                        string `json:"salt_ascii"`
	Iterations, DKLen           int
}

func vectors(t testing.TB) published {
	t.Helper()
	text, err := os.ReadFile("testdata/passwordhash.json")
	if err != nil {
		t.Fatal(err)
	}
	var v published
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Argon2id) != 8 || len(v.Bcrypt) != 11 || len(v.PBKDF2) != 7 || len(v.NeedsRehash) != 3 {
		t.Fatalf("read %d, %d, %d and %d vectors", len(v.Argon2id), len(v.Bcrypt), len(v.PBKDF2), len(v.NeedsRehash))
	}
	return v
}

// imported returns hash as Import marks it.
func imported(t testing.TB, hash string) string {
	t.Helper()
	marked, err := phc.Import(hash)
	if err != nil {
		t.Fatalf("%s: %v", hash, err)
	}
	return marked
}

func TestVectorsArgon2id(t *testing.T) {
	v := vectors(t)
	cost := phc.Insecure()
	check := func(row vector, want phc.Result) {
		t.Run(row.PHC+" "+row.Password, func(t *testing.T) {
			if row.Slow && testing.Short() {
				t.Skip("takes a second")
			}
			if got, err := cost.Verify(row.PHC, []byte(row.Password)); got != want || err != nil {
				t.Errorf("got %v, %v, want %v", got, err, want)
			}
		})
	}
	for _, row := range v.Argon2id {
		check(row, phc.Match)
	}
	for _, row := range v.Argon2idWrong {
		check(row, phc.Mismatch)
	}
	for _, row := range v.Argon2idBroken {
		if row.Reason == "empty" {
			continue // no hash: TestVerify
		}
		t.Run(row.Reason, func(t *testing.T) {
			refused(t, row.PHC)
			if _, err := phc.Import(row.PHC); !errors.Is(err, phc.ErrMalformed) {
				t.Errorf("imported: %v", err)
			}
		})
	}
	if _, err := phc.Import(""); !errors.Is(err, phc.ErrMalformed) {
		t.Errorf("imported no hash: %v", err)
	}
}

func TestVectorsBcrypt(t *testing.T) {
	v := vectors(t)
	cost := phc.Insecure()
	for _, row := range v.Bcrypt {
		// $2b$ and $2y$ are the same function by names of their own.
		versions := []string{"$2a$", "$2b$", "$2y$"}
		if strings.HasPrefix(row.Hash, "$2a$10$") {
			versions = versions[:1] // what is slow, once
		}
		for _, version := range versions {
			hash := imported(t, strings.Replace(row.Hash, "$2a$", version, 1))
			if got, err := cost.Verify(hash, []byte(row.Password)); got != phc.MatchStale || err != nil {
				t.Errorf("%s %q: got %v, %v, want MatchStale", hash, row.Password, got, err)
			}
		}
	}
	for _, row := range v.BcryptWrong {
		if got, err := cost.Verify(imported(t, row.Hash), []byte(row.Password)); got != phc.Mismatch || err != nil {
			t.Errorf("%s %q: got %v, %v", row.Hash, row.Password, got, err)
		}
	}
	for _, row := range v.BcryptBroken {
		t.Run(row.Reason, func(t *testing.T) { refused(t, "import:"+row.Hash) })
	}
}

// TestR23_Bcrypt72: of 72 bytes all count. Of more, the first 72 are compared, and
// the result says that a new password is needed.
func TestR23_Bcrypt72(t *testing.T) {
	v := vectors(t)
	hash, cost := imported(t, v.Bcrypt72.Hash), phc.Insecure()
	if len(v.Bcrypt72.Prefix72) != v.Floor.BcryptMaxBytes {
		t.Fatalf("the prefix has %d bytes", len(v.Bcrypt72.Prefix72))
	}
	for _, c := range []struct {
		name, secret string
		want         phc.Result
	}{
		{"72 bytes", v.Bcrypt72.Prefix72, phc.MatchStale},
		{"73 bytes", v.Bcrypt72.Prefix72 + "x", phc.MatchTruncated},
		{"more", v.Bcrypt72.Longer, phc.MatchTruncated},
		{"71 bytes", v.Bcrypt72.Prefix72[:71], phc.Mismatch},
		{"more, and another beginning", "x" + v.Bcrypt72.Longer[1:], phc.Mismatch},
		{"more, and byte 72 differs", v.Bcrypt72.Prefix72[:71] + "x" + v.Bcrypt72.Longer[72:], phc.Mismatch},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := cost.Verify(hash, []byte(c.secret)); got != c.want || err != nil {
				t.Errorf("got %v, %v, want %v", got, err, c.want)
			}
		})
	}
}

// The vectors have no strings: each is written in every notation that can say it.
func TestVectorsPBKDF2(t *testing.T) {
	cost := phc.Insecure()
	for _, row := range vectors(t).PBKDF2 {
		tag, err := hex.DecodeString(row.Hex)
		if err != nil || len(tag) != row.DKLen {
			t.Fatalf("%s: %d bytes, %v", row.Hex, len(tag), err)
		}
		name := strings.ToLower(strings.ReplaceAll(row.Algorithm, "HMAC-SHA", "pbkdf2-sha"))
		salt64, tag64 := base64.RawStdEncoding.EncodeToString([]byte(row.Salt)), base64.RawStdEncoding.EncodeToString(tag)
		ab64 := strings.NewReplacer("+", ".")
		hashes := []string{
			fmt.Sprintf("$%s$i=%d,l=%d$%s$%s", name, row.Iterations, row.DKLen, salt64, tag64),
			fmt.Sprintf("$%s$i=%d$%s$%s", name, row.Iterations, salt64, tag64),
			fmt.Sprintf("$%s$%d$%s$%s", strings.TrimSuffix(name, "-sha1"), row.Iterations, ab64.Replace(salt64), ab64.Replace(tag64)),
		}
		if name != "pbkdf2-sha512" {
			hashes = append(hashes, fmt.Sprintf("%s$%d$%s$%s", strings.ReplaceAll(name, "-", "_"), row.Iterations, row.Salt,
				base64.StdEncoding.EncodeToString(tag)))
		}
		if row.Iterations > 100_000 {
			hashes = hashes[:1] // what is slow, once
		}
		for _, hash := range hashes {
			hash = imported(t, hash)
			if got, err := cost.Verify(hash, []byte(row.Password)); got != phc.MatchStale || err != nil {
				t.Errorf("%s: got %v, %v, want MatchStale", hash, got, err)
			}
			if got, err := cost.Verify(hash, []byte(row.Password+" ")); got != phc.Mismatch || err != nil {
				t.Errorf("%s: another secret: got %v, %v", hash, got, err)
			}
		}
	}
}

// TestR23_Floors: new hashes meet a set of parameters that OWASP lists, and what
// it asks of other schemes is within the bounds of Import.
func TestR23_Floors(t *testing.T) {
	v := vectors(t)
	standard := phc.Standard()
	listed := false
	for _, f := range v.Floor.Argon2id {
		listed = listed || f.P == 1 && standard.Memory >= uint32(f.M) && standard.Passes >= uint32(f.T)
		imported(t, fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$c29tZXNhbHQ$%s", f.M, f.T, f.P, strings.Repeat("A", 43)))
	}
	if !listed {
		t.Errorf("%+v is less than every set", standard)
	}
	imported(t, fmt.Sprintf("$2b$%02d$%s", v.Floor.BcryptMinCost, strings.Repeat(".", 53)))
	for _, f := range v.Floor.Scrypt {
		ln := 0
		for 1<<ln < f.N {
			ln++
		}
		imported(t, fmt.Sprintf("$scrypt$ln=%d,r=%d,p=%d$c29tZXNhbHQ$%s", ln, f.R, f.P, strings.Repeat("A", 43)))
	}
	imported(t, fmt.Sprintf("$pbkdf2-sha256$i=%d$c29tZXNhbHQ$%s", v.Floor.SHA256, strings.Repeat("A", 43)))
	for _, n := range v.Floor.SHA512 {
		imported(t, fmt.Sprintf("$pbkdf2-sha512$i=%d$c29tZXNhbHQ$%s", n, strings.Repeat("A", 86)))
	}
}

func TestVectorsStale(t *testing.T) {
	for _, row := range vectors(t).NeedsRehash {
		// Three rows show parameters, two of them with a tag too short to be one.
		hash := strings.Replace(row.PHC, "$AAAA", "$"+strings.Repeat("A", 43), 1)
		if strings.HasPrefix(hash, "$2") {
			hash = imported(t, hash)
		}
		if got := (phc.Cost{Memory: row.Policy.M, Passes: row.Policy.T}).Stale(hash); got != row.NeedsRehash {
			t.Errorf("%s: got %v, want %v", hash, got, row.NeedsRehash)
		}
	}
}
