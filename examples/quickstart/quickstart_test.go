package main_test

import (
	"bytes"
	"context"
	"go/format"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// What the program asks. Each ends in the colon after which it waits.
const (
	askFirst  = "Code from the app: "
	askSaved  = "Press Enter when you have saved them: "
	askSecond = "Code from the app, or a backup code: "
)

// The program shows the same key as a picture, as a file, and as text; a real app
// enrolls from it; a code is not accepted twice; a backup code is, once saved.
func TestQuickstart(t *testing.T) {
	p := start(t, "-qr", filepath.Join(t.TempDir(), "qr.png"))
	shown := p.until(askFirst)
	uri := scan(t, p.args[1])
	if got := scan(t, picture(t, shown)); got != uri {
		t.Errorf("the terminal shows %q, the file %q", got, uri)
	}
	key, err := url.Parse(uri)
	if err != nil || key.Scheme != "otpauth" || key.Host != "totp" || key.Path != "/Quickstart:ada" {
		t.Fatalf("scanned %q, error %v, want the key of ada at Quickstart", uri, err)
	}
	secret := key.Query().Get("secret")
	if typed := find(t, shown, `or type ((?:[A-Z2-7]{4} ?)+)\n`); strings.ReplaceAll(typed, " ", "") != secret {
		t.Errorf("typed secret %q, scanned %q", typed, secret)
	}

	code := oath(t, secret)
	p.say(code)
	shown = p.until(askSaved)
	codes := regexp.MustCompile(`(?m)^[0-9A-Z]{4}(-[0-9A-Z]{4}){3}$`).FindAllString(shown, -1)
	if len(codes) != 10 {
		t.Fatalf("%d backup codes in %q, want 10", len(codes), shown)
	}
	p.say("")
	if shown = p.until(askSecond); !strings.Contains(shown, "Signed in as ada.") {
		t.Errorf("after saving the codes it shows %q, want a sign-in", shown)
	}

	for _, refused := range []string{code, other(codes[0]), "letters"} {
		p.say(refused)
		shown = p.until(askSecond)
		if !strings.HasPrefix(shown, "mfa: not accepted. A code works once: try the next that the app shows, in 30 seconds") ||
			strings.Contains(shown, "Signed in") {
			t.Errorf("after %q it shows %q, want a refusal and when to try", refused, shown)
		}
	}
	p.say(strings.ToLower(codes[0]))
	if shown = p.rest(); !strings.Contains(shown, "Signed in as ada.") {
		t.Errorf("after a backup code it shows %q, want a sign-in", shown)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
}

// Five wrong codes end the flow, and the program with it. So does the end of its
// input, wherever it comes, with an error and nobody signed in.
func TestQuickstart_Stops(t *testing.T) {
	for _, test := range []struct{ name, input, stderr string }{
		{"no input", "", "stopped: EOF"},
		{"half a line", "12345", "stopped: EOF"},
		{"wrong code, then the end", "letters\n", "stopped: EOF"},
		// A guess in 3.3 million is right by chance.
		{"five wrong codes", strings.Repeat("000000\n", 5), "stopped: mfa: no pending sign-in"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := start(t)
			if _, err := io.WriteString(p.in, test.input); err != nil {
				t.Fatal(err)
			}
			shown := p.rest()
			if err := p.cmd.Wait(); err == nil || !strings.Contains(p.stderr.String(), test.stderr) {
				t.Errorf("ended with %v and %q, want an error and %q", err, p.stderr.String(), test.stderr)
			}
			if strings.Contains(shown, "Signed in") {
				t.Errorf("it shows %q", shown)
			}
		})
	}
}

// A first program is one that is read at once: under 80 lines.
func TestQuickstart_Short(t *testing.T) {
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(source, []byte("\n")); n >= 80 {
		t.Errorf("main.go has %d lines, want under 80", n)
	}
	formatted, err := format.Source(source)
	if err != nil || !bytes.Equal(formatted, source) {
		t.Errorf("main.go is not formatted by gofmt (error %v)", err)
	}
	for i, line := range strings.Split(string(source), "\n") {
		if len(line) > 120 {
			t.Errorf("line %d of main.go has %d bytes, want at most 120: no golf", i+1, len(line))
		}
	}
}

// program is the running program and the person before it.
type program struct {
	t      *testing.T
	args   []string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    io.Reader
	stderr *bytes.Buffer
}

// start builds the program and starts it. Both end with the test, and after a
// minute at the latest.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	file := filepath.Join(t.TempDir(), "quickstart")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", file, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	p := &program{t: t, args: args, cmd: exec.CommandContext(ctx, file, args...), stderr: new(bytes.Buffer)}
	p.cmd.Stderr = p.stderr
	var err1, err2 error
	p.in, err1 = p.cmd.StdinPipe()
	p.out, err2 = p.cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// until returns what the program shows up to a question.
func (p *program) until(question string) string {
	p.t.Helper()
	var shown strings.Builder
	b := make([]byte, 1) // byte by byte: what follows the question stays in the pipe
	for !strings.HasSuffix(shown.String(), question) {
		if _, err := io.ReadFull(p.out, b); err != nil {
			p.t.Fatalf("waiting for %q: %v\nit showed %q\nand %q", question, err, shown.String(), p.stderr)
		}
		shown.Write(b)
	}
	return shown.String()
}

// rest ends the input and returns what the program shows before it ends, too.
func (p *program) rest() string {
	p.t.Helper()
	p.in.Close()
	const limit = 1 << 20
	shown, err := io.ReadAll(io.LimitReader(p.out, limit))
	if err != nil || len(shown) == limit {
		p.t.Fatalf("it goes on after the end of its input (%d bytes, error %v)", len(shown), err)
	}
	return string(shown)
}

// say types a line.
func (p *program) say(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

// find returns the first group of the pattern in s.
func find(t *testing.T, s, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(s)
	if found == nil {
		t.Fatalf("no %q in %q", pattern, s)
	}
	return found[1]
}

// other returns a backup code that differs from code in its last character.
func other(code string) string {
	last := "0"
	if strings.HasSuffix(code, last) {
		last = "1"
	}
	return code[:len(code)-1] + last
}

// picture draws what a dark terminal shows: characters light, the rest dark. A
// character is as wide as half its height.
func picture(t *testing.T, shown string) string {
	t.Helper()
	const scale = 6
	halves := map[rune][2]bool{' ': {}, '\u2580': {true, false}, '\u2584': {false, true}, '\u2588': {true, true}}
	var rows [][]bool
	for line := range strings.Lines(shown) {
		var upper, lower []bool
		for _, r := range strings.TrimSuffix(line, "\n") {
			half, ok := halves[r]
			if !ok {
				upper = nil // a line of text
				break
			}
			upper, lower = append(upper, half[0]), append(lower, half[1])
		}
		if upper != nil {
			rows = append(rows, upper, lower)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("no QR code in %q", shown)
	}
	// The terminal around the code is dark, too: what margin there is must be its own.
	const margin = 10
	m := image.NewGray(image.Rect(0, 0, (len(rows[0])+2*margin)*scale, (len(rows)+2*margin)*scale))
	for y, row := range rows {
		for x, light := range row {
			for i := range scale * scale {
				if light {
					m.SetGray((x+margin)*scale+i%scale, (y+margin)*scale+i/scale, color.Gray{Y: 255})
				}
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "terminal.png")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// scan reads a QR code as a phone does.
func scan(t *testing.T, file string) string {
	t.Helper()
	return run(t, "zbarimg", "--raw", "-q", file)
}

// oath is what an app with this secret shows now.
func oath(t *testing.T, secret string) string {
	t.Helper()
	return run(t, "oathtool", "--totp", "-b", secret)
}

// run returns what a program prints. One that is missing skips the test, or fails
// it where MFA_REQUIRE_SERVICES is 1.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("MFA_REQUIRE_SERVICES") == "1" {
			t.Fatal(err)
		}
		t.Skipf("needs %s: %v", name, err)
	}
	out, err := exec.CommandContext(t.Context(), name, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return strings.TrimSuffix(string(out), "\n")
}
