package pages_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template/parse"
	"unicode"

	"github.com/seed-1320b244/mfa/mfahttp/pages"
)

// trees returns the templates of every embedded file, by file.
func trees(t *testing.T) map[string]map[string]*parse.Tree {
	t.Helper()
	all := make(map[string]map[string]*parse.Tree)
	names, err := fs.Glob(pages.Embedded, "templates/*.html")
	if err != nil || len(names) < 20 {
		t.Fatalf("templates: %v, %v", names, err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(pages.Embedded, name)
		if err != nil {
			t.Fatal(err)
		}
		tree := parse.New(name)
		tree.Mode = parse.SkipFuncCheck
		set := make(map[string]*parse.Tree)
		if _, err := tree.Parse(string(text), "", "", set); err != nil {
			t.Fatal(err)
		}
		all[name] = set
	}
	return all
}

// markup returns a template as HTML, with a NUL for each action and all branches.
func markup(n parse.Node, b *strings.Builder) {
	branch := func(n parse.BranchNode) {
		markup(n.List, b)
		if n.ElseList != nil {
			markup(n.ElseList, b)
		}
	}
	switch n := n.(type) {
	case *parse.ListNode:
		for _, c := range n.Nodes {
			markup(c, b)
		}
	case *parse.TextNode:
		b.Write(n.Text)
	case *parse.IfNode:
		branch(n.BranchNode)
	case *parse.WithNode:
		branch(n.BranchNode)
	case *parse.RangeNode:
		branch(n.BranchNode)
	default:
		b.WriteByte(0)
	}
}

var (
	tags  = regexp.MustCompile(`(?s)<!--.*?-->|<[a-zA-Z/!](?:"[^"]*"|[^">])*>`)
	heard = regexp.MustCompile(`(?:alt|title|aria-label|placeholder|content)="([^"]*)"`)
)

// Whatever a reader sees or hears is a sentence of the catalogue: outside of tags and
// in the attributes that are read out, a template has no letters of its own.
func TestTemplatesHaveNoWords(t *testing.T) {
	letters := func(s string) bool { return strings.ContainsFunc(s, unicode.IsLetter) }
	allowed := []string{"XXXX-XXXX-XXXX-XXXX", "width=device-width, initial-scale=1", "light dark"}
	for file, set := range trees(t) {
		for name, tree := range set {
			var b strings.Builder
			markup(tree.Root, &b)
			text := b.String()
			if rest := tags.ReplaceAllString(text, ""); letters(rest) {
				t.Errorf("%s, %q: %q", file, name, strings.Join(strings.Fields(rest), " "))
			}
			for _, m := range heard.FindAllStringSubmatch(text, -1) {
				if letters(m[1]) && !slices.Contains(allowed, m[1]) {
					t.Errorf("%s, %q: %s", file, name, m[0])
				}
			}
		}
	}
	// The script has none either: it takes its words from the page.
	script, err := fs.ReadFile(pages.Embedded, "static/script.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`textContent = (.*)`).FindAllSubmatch(script, -1) {
		for _, quoted := range regexp.MustCompile("[\"'`][^\"'`]*[\"'`]").FindAllString(string(m[1]), -1) {
			if letters(quoted) && quoted != `"{n}"` && quoted != `"one"` && quoted != `"other"` && quoted != `"s"` {
				t.Errorf("the script says %s", m[1])
			}
		}
	}
}

// words returns an embedded catalogue.
func words(t *testing.T, file string) map[string]string {
	t.Helper()
	data, err := fs.ReadFile(pages.Embedded, file)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]string
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// literals returns the strings in the Go files of a folder, without their tests.
func literals(t *testing.T, dir string) map[string]bool {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	all := make(map[string]bool)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				s, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				all[s] = true
			}
			return true
		})
	}
	return all
}

// Every sentence that is asked for exists, and every one that exists is asked for: by
// a template, in Go, or by the word of the library that its key ends in.
func TestCatalogueIsWhole(t *testing.T) {
	catalogue := words(t, "messages/en.json")
	used := make(map[string]bool)
	for file, set := range trees(t) {
		for _, tree := range set {
			for _, key := range pages.Keys(tree.Root) {
				used[key] = true
				if catalogue[key] == "" {
					t.Errorf("%s: there is no sentence %q", file, key)
				}
			}
		}
	}
	here, library := literals(t, "."), literals(t, "../..")
	families := make(map[string]bool)
	for key := range catalogue {
		families[key[:strings.IndexByte(key, '.')+1]] = true
	}
	form := regexp.MustCompile(`^[a-z-]+\.[a-z-]+(\.[a-z-]+)*$`)
	for s := range here {
		if i := strings.IndexByte(s, '.'); form.MatchString(s) && families[s[:i+1]] && catalogue[s] == "" && catalogue[s+".one"] == "" {
			t.Errorf("there is no sentence %q", s)
		}
	}
	source := ""
	for _, name := range []string{"security.html", "password.html"} { // where actions are named
		text, err := fs.ReadFile(pages.Embedded, "templates/"+name)
		if err != nil {
			t.Fatal(err)
		}
		source += string(text)
	}
	for key := range catalogue {
		i := strings.IndexByte(key, '.')
		stem := strings.TrimSuffix(strings.TrimSuffix(key, ".one"), ".other")
		family, word, _ := strings.Cut(key[i+1:], ".")
		word, rest := family, word
		switch {
		case used[key], here[key], stem != key && here[stem]:
		case !here[key[:i+1]]:
			t.Errorf("nothing says %q", key)
		case library[word] && (rest == "" || library[rest]), here[word], library["advise_"+word],
			library[strings.TrimSuffix(word, "_last")],
			library[strings.TrimSuffix(strings.TrimSuffix(word, "_on"), "_off")],
			strings.Contains(source, `"`+word+`"`):
		default:
			t.Errorf("nothing says %q: there is no word %q", key, word)
		}
	}
}

// What the library may say has a sentence: what enters a history, what it advises, and
// what a password misses.
func TestLibraryHasSentences(t *testing.T) {
	catalogue := words(t, "messages/en.json")
	for file, lines := range map[string]struct{ line, key string }{
		"../../event.go":  {`EventName = "(\w+)"\s+// \*`, "event."},
		"../../errors.go": {`Reason = "(password_\w+)"\s+// (?:fewer|more|no |not |on |rep|nam|one|known|Pass)`, "requirement."},
		"../../org.go":    {`return "(member|administrator|owner)"`, "role."},
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(lines.line).FindAllStringSubmatch(string(text), -1)
		if len(found) < 3 {
			t.Errorf("%s: only %d words were found", file, len(found))
		}
		for _, m := range found {
			if catalogue[lines.key+m[1]] == "" {
				t.Errorf("there is no sentence %q", lines.key+m[1])
			}
		}
	}
	for word := range literals(t, "../..") {
		if why, ok := strings.CutPrefix(word, "advise_"); ok && catalogue["advice."+why] == "" {
			t.Errorf("there is no sentence %q", "advice."+why)
		}
	}
}

// Another language has every sentence of the English one, with the same placeholders.
func TestTranslations(t *testing.T) {
	english := words(t, "messages/en.json")
	names, err := fs.Glob(pages.Embedded, "messages/*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("catalogues: %v, %v", names, err)
	}
	placeholder := regexp.MustCompile(`\{[a-z]+\}`)
	for _, name := range names {
		other := words(t, name)
		for _, key := range slices.Sorted(maps.Keys(english)) {
			if other[key] == "" {
				t.Errorf("%s has no %q", name, key)
				continue
			}
			want, got := placeholder.FindAllString(english[key], -1), placeholder.FindAllString(other[key], -1)
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(want, got) {
				t.Errorf("%s: %q has the placeholders %v, want %v", name, key, got, want)
			}
		}
		if len(other) != len(english) {
			t.Errorf("%s has %d sentences, English %d", name, len(other), len(english))
		}
	}
}
