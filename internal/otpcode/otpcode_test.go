package otpcode_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/seed-1320b244/mfa/internal/otpcode"
)

var algorithms = []otpcode.Algorithm{otpcode.SHA1, otpcode.SHA256, otpcode.SHA512}

// vectors are the tables of the two RFCs.
type vectors struct {
	HOTP struct {
		Secret string
		Rows   []struct {
			Counter   int64
			Truncated int
			Code      string
		}
	}
	TOTP struct {
		Secrets map[otpcode.Algorithm]string
		Rows    []struct {
			Time      int64
			Step      string
			Algorithm otpcode.Algorithm
			Code      string
		}
	}
}

func readVectors(t *testing.T) vectors {
	t.Helper()
	data, err := os.ReadFile("testdata/rfc.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.HOTP.Rows) != 10 || len(v.TOTP.Rows) != 18 {
		t.Fatalf("the RFCs have 10 and 18 rows, the file has %d and %d", len(v.HOTP.Rows), len(v.TOTP.Rows))
	}
	return v
}

func TestRFC4226AppendixD(t *testing.T) {
	v := readVectors(t)
	for _, row := range v.HOTP.Rows {
		for digits := otpcode.MinDigits; digits <= otpcode.MaxDigits; digits++ {
			p := otpcode.Params{Algorithm: otpcode.SHA1, Digits: digits, Period: 30}
			got := otpcode.Code([]byte(v.HOTP.Secret), p, row.Counter)
			decimal := strconv.Itoa(row.Truncated)
			if want := decimal[len(decimal)-min(digits, len(decimal)):]; len(got) != digits || !strings.HasSuffix(got, want) {
				t.Errorf("counter %d, %d digits: got %q, want %q", row.Counter, digits, got, want)
			}
			if digits == 6 && got != row.Code {
				t.Errorf("counter %d: got %q, want %q", row.Counter, got, row.Code)
			}
		}
	}
}

func TestRFC6238AppendixB(t *testing.T) {
	v := readVectors(t)
	for _, row := range v.TOTP.Rows {
		p := otpcode.Params{Algorithm: row.Algorithm, Digits: 8, Period: 30}
		step := p.Step(row.Time)
		if got := fmt.Sprintf("%016X", step); got != row.Step {
			t.Errorf("%s at %d: step %s, want %s", row.Algorithm, row.Time, got, row.Step)
		}
		secret := []byte(v.TOTP.Secrets[row.Algorithm])
		if got := otpcode.Code(secret, p, step); got != row.Code {
			t.Errorf("%s at %d: got %q, want %q", row.Algorithm, row.Time, got, row.Code)
		}
		w := otpcode.Window{Now: step}
		if got := otpcode.Match(secret, p, row.Code, w); got != (otpcode.Result{Verdict: otpcode.Matched, Step: step}) {
			t.Errorf("%s at %d: Match gives %+v", row.Algorithm, row.Time, got)
		}
	}
}

func TestStep(t *testing.T) {
	for _, c := range []struct{ unix, period, want int64 }{
		{0, 30, 0}, {29, 30, 0}, {30, 30, 1}, {59, 30, 1}, {60, 30, 2},
		{59, 60, 0}, {60, 60, 1}, {7, 1, 7},
		{1<<31 - 1, 30, 71582788}, {1 << 31, 30, 71582788}, // January 2038
		{64424509440, 30, 1 << 31}, // the step itself passes 31 bits
		{1<<63 - 1, 1, 1<<63 - 1},
		{-1, 30, -1}, {-30, 30, -1}, {-31, 30, -2}, {-60, 30, -2}, {-1 << 63, 1, -1 << 63},
		{1234567890, 0, -1}, {1234567890, -30, -1},
	} {
		if got := (otpcode.Params{Period: c.period}).Step(c.unix); got != c.want {
			t.Errorf("second %d, period %d: step %d, want %d", c.unix, c.period, got, c.want)
		}
	}
}

func TestCheck(t *testing.T) {
	good := otpcode.Params{Algorithm: otpcode.SHA1, Digits: 6, Period: 30}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	secret, code := []byte("12345678901234567890"), "755224"
	for name, p := range map[string]otpcode.Params{
		"zero":          {},
		"no algorithm":  {Digits: 6, Period: 30},
		"lower case":    {Algorithm: "sha1", Digits: 6, Period: 30},
		"MD5":           {Algorithm: "MD5", Digits: 6, Period: 30},
		"5 digits":      {Algorithm: otpcode.SHA1, Digits: 5, Period: 30},
		"9 digits":      {Algorithm: otpcode.SHA1, Digits: 9, Period: 30},
		"minus 6":       {Algorithm: otpcode.SHA1, Digits: -6, Period: 30},
		"no period":     {Algorithm: otpcode.SHA1, Digits: 6},
		"long period":   {Algorithm: otpcode.SHA1, Digits: 6, Period: 121},
		"minus 30 secs": {Algorithm: otpcode.SHA1, Digits: 6, Period: -30},
	} {
		if p.Check() == nil {
			t.Errorf("%s: Check accepts it", name)
		}
		if got := otpcode.Code(secret, p, 0); got != "" {
			t.Errorf("%s: Code gives %q", name, got)
		}
		if got := otpcode.Match(secret, p, code, otpcode.Window{After: -1}); got != (otpcode.Result{}) {
			t.Errorf("%s: Match gives %+v", name, got)
		}
	}
	if got := otpcode.Code(nil, good, 0); got != "" {
		t.Errorf("empty secret: Code gives %q", got)
	}
	if got := otpcode.Code(secret, good, -1); got != "" {
		t.Errorf("negative step: Code gives %q", got)
	}
}

// reference computes an eight-digit code with crypto/hmac.
func reference(algorithm otpcode.Algorithm, secret []byte, step int64) string {
	mac := hmac.New(map[otpcode.Algorithm]func() hash.Hash{
		otpcode.SHA1: sha1.New, otpcode.SHA256: sha256.New, otpcode.SHA512: sha512.New,
	}[algorithm], secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(step)))
	sum := mac.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[len(sum)-1]&0xf:]) & 0x7fffffff
	return fmt.Sprintf("%08d", n%100_000_000)
}

// TestHMAC takes secrets around and past the block sizes.
func TestHMAC(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, algorithm := range algorithms {
		p := otpcode.Params{Algorithm: algorithm, Digits: 8, Period: 30}
		for length := 1; length <= 200; length++ {
			secret, step := randomBytes(rng, length), rng.Int64()
			want := reference(algorithm, secret, step)
			if got := otpcode.Code(secret, p, step); got != want {
				t.Fatalf("%s, secret of %d bytes, step %d: got %q, want %q", algorithm, length, step, got, want)
			}
		}
	}
}

func TestOathtool(t *testing.T) {
	path, err := exec.LookPath("oathtool")
	if err != nil {
		if os.Getenv("MFA_REQUIRE_SERVICES") == "1" {
			t.Fatal("oathtool is required: ", err)
		}
		t.Skip("oathtool is not installed: ", err)
	}
	for i := range rounds(t, 1000) {
		rng := rand.New(rand.NewPCG(uint64(i), 3))
		p, secret, unix := randomCase(rng)
		out, err := exec.Command(path,
			"--totp="+string(p.Algorithm), "--digits="+strconv.Itoa(p.Digits),
			fmt.Sprintf("--time-step-size=%ds", p.Period), fmt.Sprintf("--now=@%d", unix),
			hex.EncodeToString(secret)).Output()
		if err != nil {
			t.Fatalf("seed %d: %v", i, err)
		}
		want := strings.TrimSpace(string(out))
		if got := otpcode.Code(secret, p, p.Step(unix)); got != want {
			t.Fatalf("seed %d: %+v at %d: got %q, oathtool %q", i, p, unix, got, want)
		}
	}
}

// TestPquerna compares with another implementation: the code of a step, and
// whether the code of a near step is accepted at all.
func TestPquerna(t *testing.T) {
	names := map[otpcode.Algorithm]otp.Algorithm{
		otpcode.SHA1: otp.AlgorithmSHA1, otpcode.SHA256: otp.AlgorithmSHA256, otpcode.SHA512: otp.AlgorithmSHA512,
	}
	for i := range rounds(t, 5000) {
		rng := rand.New(rand.NewPCG(uint64(i), 4))
		p, secret, unix := randomCase(rng)
		width, offset := rng.IntN(otpcode.MaxWidth+1), rng.Int64N(9)-4
		now := p.Step(unix)
		code := otpcode.Code(secret, p, now+offset)

		text := base32.StdEncoding.EncodeToString(secret)
		opts := totp.ValidateOpts{
			Period: uint(p.Period), Skew: uint(width), Digits: otp.Digits(p.Digits), Algorithm: names[p.Algorithm],
		}
		want, err := totp.GenerateCodeCustom(text, time.Unix(unix+offset*p.Period, 0), opts)
		if err != nil {
			t.Fatalf("seed %d: %v", i, err)
		}
		if code != want {
			t.Fatalf("seed %d: %+v at step %d: got %q, pquerna %q", i, p, now+offset, code, want)
		}
		accepted, err := totp.ValidateCustom(code, text, time.Unix(unix, 0), opts)
		if err != nil {
			t.Fatalf("seed %d: %v", i, err)
		}
		got := otpcode.Match(secret, p, code, otpcode.Window{Now: now, Width: width})
		if (got.Verdict == otpcode.Matched) != accepted {
			t.Fatalf("seed %d: %+v width %d offset %d: got %+v, pquerna %t", i, p, width, offset, got, accepted)
		}
	}
}

// randomCase returns parameters, a secret of 10 to 80 bytes and a time of the
// next 500 years, late enough for every window around it.
func randomCase(rng *rand.Rand) (otpcode.Params, []byte, int64) {
	p := otpcode.Params{
		Algorithm: algorithms[rng.IntN(len(algorithms))],
		Digits:    otpcode.MinDigits + rng.IntN(3),
		Period:    []int64{10, 15, 30, 45, 60, 120}[rng.IntN(6)],
	}
	return p, randomBytes(rng, 10+rng.IntN(71)), 1000 + rng.Int64N(500*365*24*3600)
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// rounds scales the long form of a test by MFA_ROUNDS, a percentage, to at least
// 20.
func rounds(t *testing.T, long int) int {
	t.Helper()
	percent := 100
	if s := os.Getenv("MFA_ROUNDS"); s != "" {
		var err error
		if percent, err = strconv.Atoi(s); err != nil {
			t.Fatal("MFA_ROUNDS is not a percentage: ", err)
		}
	}
	return max(20, long*percent/100)
}
