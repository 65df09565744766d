package mfanotify

import (
	"errors"
	"fmt"
	"html"
	htmltemplate "html/template"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"text/template"
	"time"

	"github.com/seed-1320b244/mfa"
)

// A language is what one .tmpl file defines.
type language struct {
	tag    string
	words  *template.Template
	months []string
}

type layout struct {
	text *template.Template
	html *htmltemplate.Template
}

// other is the kind whose words serve every kind that has none.
const other = "other"

// required are the definitions without which a language is none. The kinds with a
// code or link are among them: it must not come in the words of another kind.
var required = [...]string{
	other, string(mfa.MessageCode), string(mfa.MessageProof), string(mfa.MessageReset),
	"months", "date", "footer", "fact.when", "fact.device", "fact.place", "fact.addr", "fact.org", "fact.method",
}

// localeFile is the name of a language's file: a tag of RFC 5646 in lower case.
var localeFile = regexp.MustCompile(`^([a-z]{2,8}(?:-[a-z0-9]{1,8}){0,3})\.tmpl$`)

// load reads the built-in templates, then those of over, which may be nil.
func (w *Words) load(over fs.FS) error {
	builtin, err := fs.Sub(embedded, "templates")
	if err != nil {
		return err
	}
	w.languages = make(map[string]*language)
	for _, files := range []fs.FS{builtin, over} {
		if files == nil {
			continue
		}
		if err := w.read(files); err != nil {
			return err
		}
	}
	for _, l := range w.languages {
		if err := w.check(l); err != nil {
			return fmt.Errorf("language %s: %w", l.tag, err)
		}
	}
	return nil
}

func (w *Words) read(files fs.FS) error {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		tag := localeFile.FindStringSubmatch(name)
		if tag == nil && name != "layout.txt" && name != "layout.html" {
			if path.Ext(name) == ".tmpl" {
				return fmt.Errorf("%s is not named after a language in lower case, such as pt-br.tmpl", name)
			}
			continue
		}
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		if err := w.parse(name, tag, string(b)); err != nil {
			return err
		}
	}
	return nil
}

func (w *Words) parse(name string, tag []string, text string) (err error) {
	switch {
	case name == "layout.txt":
		w.layout.text, err = template.New(name).Option("missingkey=error").Parse(text)
	case name == "layout.html":
		w.layout.html, err = htmltemplate.New(name).Option("missingkey=error").Parse(text)
	default:
		l := w.languages[tag[1]]
		if l == nil {
			l = &language{tag: tag[1], words: template.New(name).Option("missingkey=error")}
			w.languages[l.tag] = l
		}
		_, err = l.words.Parse(text)
	}
	return err
}

// check makes every kind of message in l, so that a fault of a template stops the
// program when it starts and no code later.
func (w *Words) check(l *language) error {
	var errs []error
	for _, name := range required {
		if !l.has(name) && !l.has(name+".subject") {
			errs = append(errs, fmt.Errorf("%q is not defined", name))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	months, err := l.execute("months", nil)
	if err != nil {
		return err
	}
	if l.months = strings.Fields(months); len(l.months) != 12 {
		return fmt.Errorf("months are %d words, not 12", len(l.months))
	}
	for _, t := range l.words.Templates() {
		kind, ok := strings.CutSuffix(t.Name(), ".subject")
		if !ok {
			continue
		}
		for _, left := range []int{0, 1, 8} {
			if err := w.try(l, mfa.MessageKind(kind), left); err != nil {
				return fmt.Errorf("%s: %w", kind, err)
			}
		}
	}
	return nil
}

// try makes one message in every format.
func (w *Words) try(l *language, kind mfa.MessageKind, left int) error {
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	m := mfa.Message{Kind: kind, Method: mfa.TOTP, At: at, Expires: at.Add(10 * time.Minute), Left: left}
	f, err := l.facts(m)
	if err != nil {
		return err
	}
	f.Product, f.Support = w.product, w.support
	switch kind {
	case mfa.MessageCode, mfa.MessageProof:
		f.Code = "000000"
	case mfa.MessageReset, mfa.MessageKind(mfa.EventAddressChanged):
		f.Link = "https://example.com/?a=b&token=t0ken"
	}
	mail, err := w.mail(l, f)
	if err != nil {
		return err
	}
	sms, err := w.sms(l, f)
	if err != nil {
		return err
	}
	if kind == mfa.MessageKind(mfa.EventAddressChanged) {
		sms += f.Link // which is long, and a host may leave out
	}
	for _, s := range []string{mail.Text(), html.UnescapeString(mail.HTML()), sms} {
		if !strings.Contains(s, f.Code) || !strings.Contains(s, f.Link) {
			return errors.New("a format does not show the code or the link")
		}
	}
	return nil
}

func (l *language) has(name string) bool { return l.words.Lookup(name) != nil }

// execute returns what the definition name prints, without space around it.
func (l *language) execute(name string, data any) (string, error) {
	var b strings.Builder
	if err := l.words.ExecuteTemplate(&b, name, data); err != nil {
		return "", clean(err)
	}
	return strings.TrimSpace(b.String()), nil
}

// phrase is execute on one line, "" for what is not defined.
func (l *language) phrase(name string, data any) (string, error) {
	if !l.has(name) {
		return "", nil
	}
	s, err := l.execute(name, data)
	return strings.Join(strings.Fields(s), " "), err
}

// paragraphs is execute, cut at empty lines.
func (l *language) paragraphs(name string, data any) ([]string, error) {
	s, err := l.execute(name, data)
	if err != nil {
		return nil, err
	}
	var out []string
	for p := range strings.SplitSeq(strings.ReplaceAll(s, "\r\n", "\n"), "\n\n") {
		if p = strings.Join(strings.Fields(p), " "); p != "" {
			out = append(out, p)
		}
	}
	return out, nil
}

// pick returns the language for a locale such as "pt-BR" or "pt_BR.UTF-8": that
// one, else a shorter tag, else Config.Locale. The locale is looked up among
// those read at the start, never opened.
func (w *Words) pick(locale string) *language {
	if len(locale) > maxLabel {
		locale = ""
	}
	tag, _, _ := strings.Cut(locale, ".")
	tag = strings.ToLower(strings.ReplaceAll(tag, "_", "-"))
	for tag != "" {
		if l := w.languages[tag]; l != nil {
			return l
		}
		tag = tag[:max(strings.LastIndexByte(tag, '-'), 0)]
	}
	return w.languages[w.locale]
}

// into executes a layout.
func into(t interface{ Execute(io.Writer, any) error }, data any) (string, error) {
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		return "", clean(err)
	}
	return b.String(), nil
}

// clean leaves of an error of a template where it happened: its text may quote
// what the template was given.
func clean(err error) error {
	if e, ok := errors.AsType[template.ExecError](err); ok {
		return fmt.Errorf("mfanotify: template %s fails", e.Name)
	}
	return errors.New("mfanotify: a template fails")
}
