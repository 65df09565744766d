package mfanotify_test

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfanotify"
)

func files(m map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range m {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

// portuguese is a language as small as one can be.
const portuguese = `{{define "months"}}jan fev mar abr mai jun jul ago set out nov dez{{end}}
{{define "date"}}{{.Day}} de {{.Month}} de {{.Year}}, {{.Clock}} UTC{{end}}
{{define "footer"}}{{.Product}}{{end}}
{{define "fact.when"}}Quando{{end}}{{define "fact.device"}}Aparelho{{end}}{{define "fact.place"}}Local{{end}}
{{define "fact.addr"}}IP{{end}}{{define "fact.org"}}Empresa{{end}}{{define "fact.method"}}Forma{{end}}
{{define "code.subject"}}Seu codigo{{end}}{{define "code.what"}}Digite:{{end}}{{define "code.advice"}}{{.Support}}{{end}}{{define "code.sms"}}{{.Code}}{{end}}
{{define "prove_address.subject"}}Confirme{{end}}{{define "prove_address.what"}}Digite:{{end}}{{define "prove_address.advice"}}{{.Support}}{{end}}{{define "prove_address.sms"}}{{.Code}}{{end}}
{{define "reset_password.subject"}}Senha{{end}}{{define "reset_password.what"}}Aqui:{{end}}{{define "reset_password.advice"}}{{.Support}}{{end}}{{define "reset_password.sms"}}{{.Link}}{{end}}
{{define "other.subject"}}Aviso{{end}}{{define "other.what"}}Algo mudou.{{end}}{{define "other.advice"}}{{.Support}}{{end}}{{define "other.sms"}}{{.Product}} {{.Support}}{{end}}`

// TestTemplates checks that a host's files replace single definitions and layouts
// and add languages, and that pt-BR falls back to pt.
func TestTemplates(t *testing.T) {
	words, err := mfanotify.New(mfanotify.Config{
		Product: "Example", Support: "help", Locale: "de",
		Templates: files(map[string]string{
			"en.tmpl":     `{{define "new_device.subject"}}Hello {{.Device}}{{end}}`,
			"pt.tmpl":     portuguese,
			"layout.html": `<p>{{.Subject}}|{{.Code}}{{.Link}}{{range .Facts}}{{.Value}}{{end}}</p>`,
			"README.md":   "not read",
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ locale, kind, subject string }{
		{"en-US", "new_device", "Hello Firefox on Windows"},
		{"en", "factor_added", "A way to verify was added to your Example account"},
		{"pt-BR", "code", "Seu codigo"},
		{"pt-PT", "new_device", "Aviso"},
		{"pt", "address_changed", "Aviso"},
		{"fr", "new_device", "Neue Anmeldung an Ihrem Konto bei Example"},
	} {
		mail, err := words.Mail(message(mfa.MessageKind(c.kind), mfa.EmailCode, c.locale))
		if err != nil || mail.Subject != c.subject || !strings.HasPrefix(mail.HTML(), "<p>"+c.subject+"|") {
			t.Errorf("%s %s: %q %q, %v", c.locale, c.kind, mail.Subject, mail.HTML(), err)
		}
	}
}

// TestNewRefuses checks that New finds every fault that would otherwise show when
// a code is due, and names it.
func TestNewRefuses(t *testing.T) {
	good := mfanotify.Config{Product: strings.Repeat("P", 64), Support: strings.Repeat("S", 128), Host: strings.Repeat("a.", 126) + "a"}
	if _, err := mfanotify.New(good); err != nil {
		t.Fatal(err)
	}
	template := func(name, text string) func(*mfanotify.Config) {
		return func(c *mfanotify.Config) { c.Templates = files(map[string]string{name: text}) }
	}
	for _, c := range []struct {
		name, want string
		change     func(*mfanotify.Config)
	}{
		{"no product", "Config.Product", func(c *mfanotify.Config) { c.Product = "" }},
		{"a long product", "Config.Product", func(c *mfanotify.Config) { c.Product += "P" }},
		{"a product of two lines", "Config.Product", func(c *mfanotify.Config) { c.Product = "a\nb" }},
		{"no support", "Config.Support", func(c *mfanotify.Config) { c.Support = "" }},
		{"a long support", "Config.Support", func(c *mfanotify.Config) { c.Support += "S" }},
		{"a long host", "Config.Host", func(c *mfanotify.Config) { c.Host += ".a" }},
		{"a host with a scheme", "Config.Host", func(c *mfanotify.Config) { c.Host = "https://example.com" }},
		{"a host with a port", "Config.Host", func(c *mfanotify.Config) { c.Host = "example.com:443" }},
		{"a host in capitals", "Config.Host", func(c *mfanotify.Config) { c.Host = "Example.com" }},
		{"a host with a dot too many", "Config.Host", func(c *mfanotify.Config) { c.Host = "example.com." }},
		{"a host with a line", "Config.Host", func(c *mfanotify.Config) { c.Host = "example.com\n@evil.example" }},
		{"a host with a hyphen in front", "Config.Host", func(c *mfanotify.Config) { c.Host = "-a.com" }},
		{"a host of a long part", "Config.Host", func(c *mfanotify.Config) { c.Host = strings.Repeat("a", 64) }},
		{"a link in clear", "Config.ResetURL", func(c *mfanotify.Config) { c.ResetURL = "http://example.com/?" }},
		{"a link of no scheme", "Config.ResetURL", func(c *mfanotify.Config) { c.ResetURL = "/new-password?" }},
		{"a link that is a program", "Config.UndoURL", func(c *mfanotify.Config) { c.UndoURL = "javascript:alert(1)//" }},
		{"a link of two lines", "Config.UndoURL", func(c *mfanotify.Config) { c.UndoURL = "https://example.com/\n?" }},
		{"a link with a quote", "Config.UndoURL", func(c *mfanotify.Config) { c.UndoURL = `https://example.com/"?` }},
		{"a link with a password", "Config.UndoURL", func(c *mfanotify.Config) { c.UndoURL = "https://a:b@example.com/?" }},
		{"a locale without templates", "Config.Locale", func(c *mfanotify.Config) { c.Locale = "pt" }},
		{"a template that does not parse", "en.tmpl", template("en.tmpl", "{{define")},
		{"a layout that does not parse", "layout.html", template("layout.html", "{{")},
		{"an unknown fact", "new_device.subject", template("en.tmpl", `{{define "new_device.subject"}}{{.Password}}{{end}}`)},
		{"an unknown fact in a layout", "layout.txt", template("layout.txt", `{{.Password}}`)},
		{"a page that cannot be escaped", "fails", template("layout.html", `<a href='{{if .Code}}x{{else}}'{{end}}`)},
		{"an empty subject", "empty", template("de.tmpl", `{{define "factor_added.subject"}}{{""}}{{end}}`)},
		{"a text message without its code", "show the code", func(c *mfanotify.Config) {
			c.Host = ""
			c.Templates = files(map[string]string{"en.tmpl": `{{define "code.sms"}}Hello{{end}}`})
		}},
		{"a page without the link", "show the code", template("layout.html", `{{.Subject}}{{.Code}}`)},
		{"a text message without its link", "reset_password", template("en.tmpl", `{{define "reset_password.sms"}}Hello{{end}}`)},
		{"a page without the code", "show the code", template("layout.html", `{{.Subject}}`)},
		{"a kind of one part", "gone_fishing", template("en.tmpl", `{{define "gone_fishing.subject"}}Hello{{end}}`)},
		{"eleven months", "months", template("en.tmpl", `{{define "months"}}a b c d e f g h i j k{{end}}`)},
		{"half a language", `"months" is not defined`, template("pt.tmpl", `{{define "other.subject"}}Aviso{{end}}`)},
		{"a language in capitals", "pt-BR.tmpl", template("pt-BR.tmpl", portuguese)},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := good
			c.change(&config)
			if _, err := mfanotify.New(config); !errors.Is(err, mfa.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}
