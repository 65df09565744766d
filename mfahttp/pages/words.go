package pages

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A language is a catalogue and the pages in it.
type language struct {
	tag   string
	words map[string]string
	pages map[string]*template.Template
}

// english is what the words of other languages are compared with and fall back to.
const english = "en"

var (
	tags         = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$`)
	placeholders = regexp.MustCompile(`\{[a-z]+\}`)
)

// free reports whether a key may be in a catalogue without being in the English one.
func free(key string) bool {
	return strings.HasPrefix(key, "host.") || strings.HasPrefix(key, "action.")
}

// catalogues returns the words of each language by its tag in lower case: the English
// ones, what is embedded over them, and what the host has over that.
func (s *Site) catalogues() (map[string]*language, error) {
	known, err := catalogue(files, english, nil)
	if err != nil {
		return nil, err
	}
	base := maps.Clone(known)
	if err := s.replace(base, english, known); err != nil {
		return nil, err
	}
	all := make(map[string]*language)
	var errs []error
	for _, name := range s.names("messages") {
		tag, ok := strings.CutSuffix(name, ".json")
		if !ok || !tags.MatchString(tag) {
			errs = append(errs, fmt.Errorf("messages/%s: no language has this name", name))
			continue
		}
		words := maps.Clone(base)
		if tag != english {
			own, err := catalogue(files, tag, known)
			errs = append(errs, err)
			maps.Copy(words, own)
			errs = append(errs, s.replace(words, tag, known))
		}
		all[strings.ToLower(tag)] = &language{tag: tag, words: words}
	}
	return all, errors.Join(errs...)
}

// replace puts what the host has in a language over words.
func (s *Site) replace(words map[string]string, tag string, known map[string]string) error {
	if s.config.Files == nil {
		return nil
	}
	own, err := catalogue(s.config.Files, tag, known)
	maps.Copy(words, own)
	return err
}

// catalogue reads the words of a language, nil when there are none. Unless known is
// nil, each key must be in it, and each placeholder in its sentence.
func catalogue(from fs.FS, tag string, known map[string]string) (map[string]string, error) {
	file := path.Join("messages", tag+".json")
	data, err := fs.ReadFile(from, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var words map[string]string
	if err := json.Unmarshal(data, &words); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(words)) {
		model, ok := known[key]
		switch {
		case words[key] == "":
			errs = append(errs, fmt.Errorf("%s: %q has no sentence", file, key))
		case known == nil || free(key):
		case !ok:
			errs = append(errs, fmt.Errorf("%s: there is no sentence %q", file, key))
		default:
			for _, p := range placeholders.FindAllString(words[key], -1) {
				if !strings.Contains(model, p) {
					errs = append(errs, fmt.Errorf("%s: nothing goes into %s of %q", file, p, key))
				}
			}
		}
	}
	return words, errors.Join(errs...)
}

// speaks returns the language for a request.
func (s *Site) speaks(r *http.Request) *language {
	if s.config.Language != nil {
		if l := s.match(s.config.Language(r)); l != nil {
			return l
		}
		return s.sets[english]
	}
	for _, tag := range preferred(r.Header.Get("Accept-Language")) {
		if l := s.match(tag); l != nil {
			return l
		}
	}
	return s.sets[english]
}

// match returns the language of a tag, or of one that it begins with (RFC 4647
// section 3.4), nil for none.
func (s *Site) match(tag string) *language {
	for tag = strings.ToLower(tag); tag != ""; {
		if l, ok := s.sets[tag]; ok {
			return l
		}
		tag = tag[:max(0, strings.LastIndexByte(tag, '-'))]
	}
	return nil
}

// preferred returns the tags of an Accept-Language, best first (RFC 9110 section
// 12.5.4).
func preferred(header string) []string {
	type weighed struct {
		tag string
		q   float64
	}
	var all []weighed
	for part := range strings.SplitSeq(header[:min(len(header), 500)], ",") {
		tag, weight, found := strings.Cut(part, ";")
		q := 1.0
		if found {
			var err error
			if q, err = strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64); err != nil {
				q = 0
			}
		}
		if q > 0 {
			all = append(all, weighed{strings.TrimSpace(tag), q})
		}
	}
	slices.SortStableFunc(all, func(a, b weighed) int {
		switch {
		case a.q > b.q:
			return -1
		case a.q < b.q:
			return 1
		}
		return 0
	})
	list := make([]string, len(all))
	for i, w := range all {
		list[i] = w.tag
	}
	return list
}

// say returns a sentence as text. Values follow their names.
func (l *language) say(key string, values ...any) string {
	return l.fill(l.words[key], func(v any) string { return fmt.Sprint(v) }, values)
}

// msg returns a sentence as HTML, for templates: the sentence and the values are
// escaped, and only what is HTML already, such as an element, stays.
func (l *language) msg(key string, values ...any) (template.HTML, error) {
	sentence, ok := l.words[key]
	if !ok {
		return "", fmt.Errorf("there is no sentence %q", key)
	}
	return template.HTML(l.fill(template.HTMLEscapeString(sentence), escape, values)), nil
}

// count is msg with the form of a sentence for n.
func (l *language) count(key string, n int, values ...any) (template.HTML, error) {
	return l.msg(plural(key, n), append(values, "n", n)...)
}

// plural returns the key of a sentence for n of something.
func plural(key string, n int) string {
	if n == 1 {
		return key + ".one"
	}
	return key + ".other"
}

// fill replaces the placeholders of a sentence, each once: a value that looks like one
// stays as it is.
func (l *language) fill(sentence string, text func(any) string, values []any) string {
	var pairs []string
	for i := 0; i+1 < len(values); i += 2 {
		pairs = append(pairs, fmt.Sprint("{", values[i], "}"), text(values[i+1]))
	}
	return strings.NewReplacer(pairs...).Replace(sentence)
}

func escape(v any) string {
	if h, ok := v.(template.HTML); ok {
		return string(h)
	}
	return template.HTMLEscapeString(fmt.Sprint(v))
}

// word returns what people call a stable word of the library, or of the host. One that
// has no sentence is shown as it is.
func (l *language) word(family string, word any) string {
	if s, ok := l.words[family+fmt.Sprint(word)]; ok {
		return s
	}
	return strings.ReplaceAll(fmt.Sprint(word), "_", " ")
}

// ago says how long something is past.
func (l *language) ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return l.say("ago.now")
	case d < time.Hour:
		return l.some("ago.minutes", d/time.Minute)
	case d < 24*time.Hour:
		return l.some("ago.hours", d/time.Hour)
	}
	return l.some("ago.days", d/(24*time.Hour))
}

// wait says how long something lasts, never less than it does.
func (l *language) wait(d time.Duration) string {
	d = d.Truncate(time.Second)
	switch {
	case d < time.Minute:
		return l.some("for.seconds", max(1, d/time.Second))
	case d < time.Hour:
		return l.some("for.minutes", (d+time.Minute-1)/time.Minute)
	case d <= 48*time.Hour:
		return l.some("for.hours", (d+time.Hour-1)/time.Hour)
	}
	return l.some("for.days", (d+24*time.Hour-1)/(24*time.Hour))
}

// lasting says how long something is kept.
func (l *language) lasting(d time.Duration) string {
	switch day := 24 * time.Hour; {
	case d%(7*day) == 0:
		return l.some("for.weeks", d/(7*day))
	case d%day == 0:
		return l.some("for.days", d/day)
	}
	return l.wait(d)
}

func (l *language) some(key string, n time.Duration) string {
	return l.say(plural(key, int(n)), "n", int(n))
}

func (l *language) date(t time.Time) string { return t.UTC().Format(l.words["format.date"]) }
