package mfa_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// newConfig returns a complete configuration.
func newConfig(t testing.TB) mfa.Config {
	t.Helper()
	return mfa.Config{Issuer: "Example", Store: new(mfa.MemoryStore), Users: &mfatest.Users{}, Keys: parseKeys(t, mfa.NewKey())}
}

// refusedConfig checks that New refuses c and names each field.
func refusedConfig(t *testing.T, c mfa.Config, fields ...string) {
	t.Helper()
	g, err := mfa.New(c)
	if g != nil || !errors.Is(err, mfa.ErrInvalid) || mfa.ReasonOf(err) != mfa.ReasonInvalidArgument {
		t.Fatalf("New returned guard %t and %v, want no guard and ErrInvalid", g != nil, err)
	}
	for _, f := range fields {
		if !strings.Contains(err.Error(), f) {
			t.Errorf("the error does not name %s: %v", f, err)
		}
	}
}

// TestConfigRequired checks that New refuses what is missing or unsafe and says
// which field it is.
func TestConfigRequired(t *testing.T) {
	issuer := func(s string) func(*mfa.Config) { return func(c *mfa.Config) { c.Issuer = s } }
	for _, c := range []struct {
		name, field string
		spoil       func(*mfa.Config)
	}{
		{"no issuer", "Config.Issuer", issuer("")},
		{"issuer of 65 code points", "Config.Issuer", issuer(strings.Repeat("\u00e9", 65))},
		{"issuer of 1 MiB", "Config.Issuer", issuer(strings.Repeat("a", 1<<20))},
		{"issuer with a colon", "Config.Issuer", issuer("Example: mail")},
		{"issuer with a line", "Config.Issuer", issuer("Example\nmail")},
		{"issuer with a zero byte", "Config.Issuer", issuer("Example\x00")},
		{"issuer with C1 control", "Config.Issuer", issuer("Example\u0085mail")},
		{"issuer that turns the writing", "Config.Issuer", issuer("Example\u202email")},
		{"issuer that isolates the writing", "Config.Issuer", issuer("Example\u2066mail")},
		{"issuer of no UTF-8", "Config.Issuer", issuer("Example\xff")},
		{"issuer of spaces", "Config.Issuer", issuer("   ")},
		{"issuer with leading space", "Config.Issuer", issuer(" Example")},
		{"issuer with trailing no-break space", "Config.Issuer", issuer("Example\u00a0")},
		{"no store", "Config.Store", func(c *mfa.Config) { c.Store = nil }},
		{"no users", "Config.Users", func(c *mfa.Config) { c.Users = nil }},
		{"no keys", "Config.Keys", func(c *mfa.Config) { c.Keys = mfa.Keys{} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := newConfig(t)
			c.spoil(&config)
			refusedConfig(t, config, c.field)
		})
	}
}

// TestConfigAccepted checks that what New accepts is complete: whatever issuer
// passes, a user can scan.
func TestConfigAccepted(t *testing.T) {
	for _, c := range []struct{ name, issuer, user string }{
		{"one letter", "E", "ann"},
		{"64 letters", strings.Repeat("W", 64), strings.Repeat("w", 64)},
		{"reserved characters", "A&B=C?#%+/ 100 %", "a&b=c?#%+/"},
		{"64 code points of 2 bytes", strings.Repeat("\u00c9", 64), strings.Repeat("\u00e9", 64)},
		{"64 code points of 3 bytes", strings.Repeat("\u4f1a", 64), strings.Repeat("\u793e", 64)},
		{"64 code points of 4 bytes", strings.Repeat("\U0001f511", 64), strings.Repeat("\U0001f600", 63)},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := newConfig(t)
			config.Issuer = c.issuer
			config.Policy.TOTP.Algorithm = mfa.SHA512
			users := &mfatest.Users{}
			users.Add(mfa.User{ID: "ann", Name: c.user})
			config.Users = users
			g, err := mfa.New(config)
			if err != nil {
				// Refusing an issuer that fits no QR code is as good.
				refusedConfig(t, config, "Config.Issuer")
				if len(c.issuer) <= 64 {
					t.Fatalf("an issuer of %d bytes is refused: %v", len(c.issuer), err)
				}
				return
			}
			setup := startTOTP(t, g, "ann")
			if _, err := setup.PNG(1); err != nil {
				t.Errorf("the issuer is accepted, and no QR code can be drawn: %v", err)
			}
			if app, err := mfatest.NewAuthenticator(setup.URI()); err != nil || app.Issuer != c.issuer {
				t.Errorf("an app reads %+v, %v", app, err)
			}
		})
	}
}

// startTOTP signs a user in and stages an authenticator.
func startTOTP(t *testing.T, g *mfa.Guard, user string) mfa.Setup {
	t.Helper()
	out, err := g.SignIn(t.Context(), mfa.SignIn{User: user, First: mfa.PasswordFirst()})
	if err != nil {
		t.Fatal(err)
	}
	if out, err = out.Session.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), ""); err != nil {
		t.Fatal(err)
	}
	setup, err := out.Pending.StartTOTP(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return setup
}

// A policyField is one field of Policy with its bounds. Other values than the
// bounds are in good and bad.
type policyField struct {
	name                 string
	zero, floor, ceiling int64
	good, bad            []int64
}

func policyFields() []policyField {
	const s, m, h = int64(time.Second), int64(time.Minute), int64(time.Hour)
	return []policyField{
		{name: "Rules.Require", zero: int64(mfa.RequireOff), floor: 0, ceiling: int64(mfa.RequireAtSignIn)},
		{name: "Rules.Remember", zero: 0, floor: h, ceiling: 7 * 24 * h, bad: []int64{1, m}},
		{name: "Rules.SessionFor", zero: 24 * h, floor: 5 * m, ceiling: 24 * h},
		{name: "Rules.IdleFor", zero: 0, floor: 2 * m, ceiling: 24 * h, bad: []int64{1, m}},
		{name: "Rules.FreshFor", zero: 5 * m, floor: m, ceiling: h},
		{name: "TOTP.Algorithm", zero: int64(mfa.SHA1), floor: 0, ceiling: int64(mfa.SHA512)},
		{name: "TOTP.Digits", zero: 6, floor: 6, ceiling: 8, bad: []int64{1, 7}},
		{name: "TOTP.Period", zero: 30 * s, floor: 30 * s, ceiling: 60 * s, bad: []int64{1, 30, 45 * s, 120 * s}},
		{name: "TOTP.Window", zero: int64(mfa.WindowOneStep), floor: 0, ceiling: int64(mfa.WindowTwoSteps)},
		{name: "Limits.TriesPerPending", zero: 5, floor: 1, ceiling: 10},
		{name: "Limits.TriesBeforeWait", zero: 5, floor: 1, ceiling: 10},
		{name: "Limits.WaitMin", zero: 30 * s, floor: 10 * s, ceiling: 10 * m, bad: []int64{1}},
		{name: "Limits.WaitMax", zero: h, floor: m, ceiling: 24 * h, bad: []int64{1, 30 * s}},
		{name: "Limits.TriesBeforeDisable", zero: 100, floor: 10, ceiling: 100, bad: []int64{1}},
		{name: "Limits.FailuresBeforeSuspect", zero: 20, floor: 10, ceiling: 50, bad: []int64{1}},
		{name: "Limits.SessionsPerUser", zero: 20, floor: 1, ceiling: 20},
		{name: "Limits.PendingsPerUser", zero: 16, floor: 2, ceiling: 16},
		{name: "Limits.BrowsersPerUser", zero: 10, floor: 1, ceiling: 10},
		{name: "Limits.SMSPerNetwork", zero: 20, floor: 1, ceiling: 1_000},
		{name: "Limits.SMSPerPrefix", zero: 60, floor: 1, ceiling: 10_000},
		{name: "Limits.SMSPerInstallation", zero: 1_000, floor: 1, ceiling: 1_000_000},
		{name: "Limits.PasswordsPerNetwork", zero: 600, floor: 10, ceiling: 100_000},
		{name: "Limits.PasswordsPerLogin", zero: 30, floor: 10, ceiling: 1_000},
		{name: "Limits.RecoversPerNetwork", zero: 30, floor: 1, ceiling: 10_000},
		{name: "Password.Min", zero: 0, floor: 8, ceiling: 64, bad: []int64{1, 7}},
		{name: "Password.Max", zero: 256, floor: 64, ceiling: 455},
		{name: "Password.History", zero: 0, floor: 0, ceiling: 24},
		{name: "AddressCheck", zero: int64(mfa.AddressAfterReset), floor: 0, ceiling: int64(mfa.InsecureAddressNever)},
	}
}

// figure returns the field of p that path names, such as "Limits.WaitMin".
func figure(p *mfa.Policy, path string) reflect.Value {
	v := reflect.ValueOf(p).Elem()
	for name := range strings.SplitSeq(path, ".") {
		v = v.FieldByName(name)
	}
	return v
}

// TestConfigPolicyBounds checks every figure of Policy at its floor and ceiling
// and beyond: New refuses what is outside, by name, and never repairs it.
func TestConfigPolicyBounds(t *testing.T) {
	for _, f := range policyFields() {
		good := append([]int64{f.floor, f.ceiling, 0}, f.good...)
		bad := append([]int64{f.floor - 1, f.ceiling + 1, -1, -f.floor, -f.ceiling, math.MaxInt64, math.MinInt64}, f.bad...)
		for _, v := range good {
			t.Run(fmt.Sprintf("%s=%d", f.name, v), func(t *testing.T) {
				c := newConfig(t)
				figure(&c.Policy, f.name).SetInt(v)
				if _, err := mfa.New(c); err != nil {
					t.Error(err)
				}
			})
		}
		for _, v := range bad {
			if v == 0 || figure(&mfa.Policy{}, f.name).OverflowInt(v) {
				continue // the default; no such value on this platform
			}
			t.Run(fmt.Sprintf("%s=%d refused", f.name, v), func(t *testing.T) {
				c := newConfig(t)
				figure(&c.Policy, f.name).SetInt(v)
				refusedConfig(t, c, "Policy."+f.name)
			})
		}
	}
}

// TestConfigWaits checks that the longest wait is not shorter than the first.
func TestConfigWaits(t *testing.T) {
	for _, c := range []struct {
		name     string
		min, max time.Duration
		ok       bool
	}{
		{"equal", time.Minute, time.Minute, true},
		{"longest above first", 5 * time.Minute, 10 * time.Minute, true},
		{"longest below first", 10 * time.Minute, 10*time.Minute - 1, false},
		{"longest below the default first", 0, time.Minute, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := newConfig(t)
			config.Policy.Limits.WaitMin, config.Policy.Limits.WaitMax = c.min, c.max
			if !c.ok {
				refusedConfig(t, config, "Policy.Limits.WaitMax")
			} else if _, err := mfa.New(config); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestConfigNamesAll checks that one error names all faults, so that a host is
// not led from one to the next.
func TestConfigNamesAll(t *testing.T) {
	refusedConfig(t, mfa.Config{}, "Config.Issuer", "Config.Store", "Config.Users", "Config.Keys")
	for _, fields := range [][]string{
		{"Limits.WaitMin", "Limits.WaitMax"},
		{"Rules.Require", "TOTP.Algorithm", "TOTP.Window"},
		{"TOTP.Digits", "TOTP.Period", "Rules.IdleFor"},
		{"Limits.TriesPerPending", "Limits.TriesBeforeWait", "Limits.SessionsPerUser", "Rules.SessionFor"},
	} {
		t.Run(strings.Join(fields, " "), func(t *testing.T) {
			var c mfa.Config
			want := []string{"Config.Issuer", "Config.Store"}
			for _, f := range fields {
				figure(&c.Policy, f).SetInt(-7)
				want = append(want, "Policy."+f)
			}
			refusedConfig(t, c, want...)
		})
	}
}

// TestConfigDefaults checks that the zero of every figure becomes its default, and
// that a Policy which names the defaults means the same.
func TestConfigDefaults(t *testing.T) {
	got, err := mfa.ResolvePolicy(mfa.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	var named mfa.Policy
	for _, f := range policyFields() {
		if v := figure(&got, f.name).Int(); v != f.zero {
			t.Errorf("%s becomes %d, want %d", f.name, v, f.zero)
		}
		figure(&named, f.name).SetInt(f.zero)
	}
	if again, err := mfa.ResolvePolicy(named); err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("the defaults by name become %+v, %v, want %+v", again, err, got)
	}
}

// TestConfigMethods checks that Rules.Methods names second factors only, each once,
// and that codes which are sent have a Notifier.
func TestConfigMethods(t *testing.T) {
	type list = []mfa.Method
	for _, c := range []struct {
		name     string
		methods  list
		notifier bool
		field    string // that New refuses, "" for none
		want     list
	}{
		{"nil", nil, false, "", list{mfa.TOTP}},
		{"TOTP", list{mfa.TOTP}, false, "", list{mfa.TOTP}},
		{"the best first", list{mfa.EmailCode, mfa.TOTP, mfa.SMSCode}, true, "", list{mfa.TOTP, mfa.SMSCode, mfa.EmailCode}},
		{"mail alone", list{mfa.EmailCode}, true, "", list{mfa.EmailCode}},
		{"nothing", list{}, true, "Policy.Rules.Methods", nil},
		{"twice", list{mfa.TOTP, mfa.TOTP}, true, "Policy.Rules.Methods", nil},
		{"backup codes", list{mfa.TOTP, mfa.BackupCode}, true, "Policy.Rules.Methods", nil},
		{"a password", list{mfa.Password}, true, "Policy.Rules.Methods", nil},
		{"zero", list{0}, true, "Policy.Rules.Methods", nil},
		{"mail without a notifier", list{mfa.TOTP, mfa.EmailCode}, false, "Config.Notifier", nil},
		{"text messages without a notifier", list{mfa.SMSCode}, false, "Config.Notifier", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := newConfig(t)
			config.Policy.Rules.Methods = c.methods
			if c.notifier {
				config.Notifier = new(mfatest.Inbox)
			}
			if c.field != "" {
				refusedConfig(t, config, c.field)
				return
			}
			if _, err := mfa.New(config); err != nil {
				t.Fatal(err)
			}
			got, err := mfa.ResolvePolicy(config.Policy)
			if err != nil || !slices.Equal(got.Rules.Methods, c.want) {
				t.Errorf("resolved to %v, %v, want %v", got.Rules.Methods, err, c.want)
			}
		})
	}
}

// TestConfigDefaultClock checks that a Guard without Config.Now goes by the time
// of day.
func TestConfigDefaultClock(t *testing.T) {
	c := newConfig(t)
	users := &mfatest.Users{}
	users.Add(mfa.User{ID: "ann"})
	c.Users = users
	g, err := mfa.New(c)
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	out, err := g.SignIn(t.Context(), mfa.SignIn{User: "ann", First: mfa.PasswordFirst()})
	if err != nil {
		t.Fatal(err)
	}
	life := out.Session.Expires().Sub(before)
	if life < 24*time.Hour-time.Second || life > 24*time.Hour+time.Minute {
		t.Errorf("a session lasts %v, want 24 h", life)
	}
}

// TestConfigFieldsDocumented checks that the comment on every field of Config, and
// of every struct in it, says what its zero means or that it is required, and
// that every figure of Policy has its bounds in policyFields.
func TestConfigFieldsDocumented(t *testing.T) {
	comments := fieldComments(t)
	bounds := make(map[string]bool)
	for _, f := range policyFields() {
		bounds[f.name] = true
	}
	says := regexp.MustCompile(`\b([Zz]ero|[Dd]efaults?|[Rr]equired|Nil)\b`)
	documented := make(map[string]bool)
	var walk func(typ reflect.Type, path string)
	walk = func(typ reflect.Type, path string) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			name := typ.Name() + "." + f.Name
			documented[typ.Name()] = true
			if !says.MatchString(comments[name]) {
				t.Errorf("the comment on %s says neither what zero means nor that it is required: %q", name, comments[name])
			}
			below := strings.TrimPrefix(path+"."+f.Name, ".")
			if f.Type.Kind() == reflect.Struct && f.Type.PkgPath() == typ.PkgPath() && f.Type != reflect.TypeFor[mfa.Keys]() {
				walk(f.Type, strings.TrimPrefix(below, "Policy."))
			} else if typ != reflect.TypeFor[mfa.Config]() && f.Type.Kind() != reflect.Struct && f.Type.Kind() != reflect.Slice && f.Type.Kind() != reflect.Bool && f.Type.Kind() != reflect.Interface && !bounds[strings.TrimPrefix(below, "Policy.")] {
				t.Errorf("%s has no bounds in policyFields", name)
			}
		}
	}
	walk(reflect.TypeFor[mfa.Config](), "")
	for _, name := range []string{"Config", "Policy", "Rules", "TOTPPolicy", "PasswordPolicy", "Limits"} {
		if !documented[name] {
			t.Errorf("%s was not looked at", name)
		}
	}
}

// fieldComments returns the comments on the fields of every struct of the package,
// as "Type.Field". A field that its type's comment lists as required has that
// sentence too.
func fieldComments(t *testing.T) map[string]string {
	t.Helper()
	comments := make(map[string]string)
	names, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil || len(names) == 0 {
		t.Fatalf("no source: %v", err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				structComments(g, comments)
			}
		}
	}
	return comments
}

func structComments(g *ast.GenDecl, comments map[string]string) {
	required := regexp.MustCompile(`[\w, ]+ are required`)
	for _, spec := range g.Specs {
		typ := spec.(*ast.TypeSpec)
		str, ok := typ.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range str.Fields.List {
			for _, n := range f.Names {
				text := f.Doc.Text() + f.Comment.Text()
				list := required.FindString(g.Doc.Text())
				if slices.Contains(strings.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == ',' }), n.Name) {
					text += list
				}
				comments[typ.Name.Name+"."+n.Name] = text
			}
		}
	}
}

const module = "github.com/seed-1320b244/mfa"

// goList runs go list in the root module. Without the go command it skips, or
// fails where everything must be there.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		if os.Getenv("MFA_REQUIRE_SERVICES") == "1" {
			t.Fatal(err)
		}
		t.Skip("needs the go command: ", err)
	}
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

// TestImports_RootStaysSmall checks that a program which imports the library gets
// no web server, no database and no templates with it, directly or through
// another package, and nothing that only tests need.
func TestImports_RootStaysSmall(t *testing.T) {
	deps := goList(t, "-deps", ".")
	if !slices.Contains(deps, module) || !slices.Contains(deps, module+"/internal/keyring") {
		t.Fatalf("go list does not list what it should: %v", deps)
	}
	for _, never := range []string{"net/http", "database/sql", "html/template", "testing", module + "/mfatest"} {
		if slices.Contains(deps, never) {
			t.Errorf("the library reaches %s", never)
		}
	}
	allowed := []string{module, "golang.org/x/", "github.com/pquerna/otp", "github.com/boombuler/barcode", "github.com/mileusna/useragent"}
	for _, d := range goList(t, "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".") {
		if !slices.ContainsFunc(allowed, func(a string) bool { return strings.HasPrefix(d, a) }) {
			t.Errorf("the library reaches %s: a new dependency", d)
		}
	}
}

// TestImports_InternalNeverImportsRoot checks that arrows do not turn back: the
// packages below internal stand by themselves, with their tests.
func TestImports_InternalNeverImportsRoot(t *testing.T) {
	packages := goList(t, "./internal/...")
	if len(packages) < 3 {
		t.Fatalf("go list finds only %v", packages)
	}
	for _, p := range packages {
		deps := goList(t, "-deps", "-test", p)
		if slices.Contains(deps, module) || slices.Contains(deps, module+"/mfatest") {
			t.Errorf("%s reaches the root", p)
		}
	}
}
