package pages

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
	"text/template/parse"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
)

//go:embed templates static messages
var files embed.FS

// static serves style sheets, script and icon. They are the same for everybody, so
// that a cache may keep them.
func (s *Site) static(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, s.path("/"))
	from := fs.FS(files)
	if s.config.Files != nil && exists(s.config.Files, name) {
		from = s.config.Files
	} else if !exists(files, name) {
		s.notFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "max-age=300")
	http.ServeFileFS(w, r, from, name)
}

// exists reports whether there is a file, and not a folder, of that name.
func exists(in fs.FS, name string) bool {
	info, err := fs.Stat(in, name)
	return err == nil && info.Mode().IsRegular()
}

// names returns the names of all files in a folder, embedded or the host's.
func (s *Site) names(dir string) []string {
	var all []string
	for _, from := range []fs.FS{files, s.config.Files} {
		if from == nil {
			continue
		}
		entries, _ := fs.ReadDir(from, dir) // the host need not have any
		for _, e := range entries {
			if !e.IsDir() && !slices.Contains(all, e.Name()) {
				all = append(all, e.Name())
			}
		}
	}
	return all
}

// load reads the words of every language and parses the pages for each: what a
// template calls is bound to one.
func (s *Site) load() (map[string]*language, error) {
	all, err := s.catalogues()
	if err != nil {
		return nil, err
	}
	for _, l := range all {
		if err := s.parse(l); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Parts of every page.
const (
	layout = "layout.html"
	blocks = "blocks.html"
)

func (s *Site) parse(l *language) error {
	l.pages = make(map[string]*template.Template)
	frame := template.New(layout).Funcs(s.functions(l))
	for _, name := range []string{layout, blocks} {
		if err := s.add(frame, name, true); err != nil {
			return err
		}
	}
	for _, file := range s.names("templates") {
		name, ok := strings.CutSuffix(file, ".html")
		if !ok || file == layout || file == blocks {
			continue
		}
		t, err := frame.Clone()
		if err == nil {
			err = s.add(t, file, false)
		}
		if err == nil {
			err = l.unsaid(t)
		}
		if err != nil {
			return err
		}
		// html/template looks at a template when it is executed first.
		err = t.ExecuteTemplate(io.Discard, layout, Page{Name: name})
		if broken, ok := errors.AsType[*template.Error](err); ok {
			return fmt.Errorf("templates/%s: %w", file, broken)
		}
		l.pages[name] = t
	}
	return nil
}

// add parses a file into t: the host's, or else the embedded one. With over, the host's
// need not define all that the embedded one does.
func (s *Site) add(t *template.Template, file string, over bool) error {
	name := path.Join("templates", file)
	own := s.config.Files != nil && exists(s.config.Files, name)
	if (over || !own) && exists(files, name) {
		if _, err := t.ParseFS(files, name); err != nil {
			return err
		}
	}
	if own {
		if _, err := t.ParseFS(s.config.Files, name); err != nil {
			return err
		}
	}
	return nil
}

// unsaid returns an error for a key in t that no sentence has.
func (l *language) unsaid(t *template.Template) error {
	for _, part := range t.Templates() {
		if part.Tree == nil {
			continue
		}
		for _, key := range keys(part.Tree.Root) {
			if _, ok := l.words[key]; !ok {
				return fmt.Errorf("templates/%s: there is no sentence %q", part.Tree.ParseName, key)
			}
		}
	}
	return nil
}

// keys returns the keys that a template names, as far as they are written out in it.
func keys(n parse.Node) (all []string) {
	add := func(children ...parse.Node) {
		for _, c := range children {
			all = append(all, keys(c)...)
		}
	}
	branch := func(b parse.BranchNode) {
		add(b.Pipe, b.List)
		if b.ElseList != nil {
			add(b.ElseList)
		}
	}
	switch n := n.(type) {
	case *parse.ListNode:
		add(n.Nodes...)
	case *parse.ActionNode:
		add(n.Pipe)
	case *parse.TemplateNode:
		if n.Pipe != nil {
			add(n.Pipe)
		}
	case *parse.IfNode:
		branch(n.BranchNode)
	case *parse.RangeNode:
		branch(n.BranchNode)
	case *parse.WithNode:
		branch(n.BranchNode)
	case *parse.PipeNode:
		for _, c := range n.Cmds {
			add(c)
		}
	case *parse.CommandNode:
		all = append(all, named(n)...)
		add(n.Args...)
	}
	return all
}

// named returns the keys that one call names.
func named(n *parse.CommandNode) []string {
	f, ok := n.Args[0].(*parse.IdentifierNode)
	if !ok || len(n.Args) < 2 {
		return nil
	}
	key, ok := n.Args[1].(*parse.StringNode)
	switch {
	case ok && (f.Ident == "msg" || f.Ident == "raw"):
		return []string{key.Text}
	case ok && f.Ident == "msgn":
		return []string{key.Text + ".one", key.Text + ".other"}
	}
	return nil
}

// functions are what templates call.
func (s *Site) functions(l *language) template.FuncMap {
	now := s.config.HTTP.Now
	if now == nil {
		now = time.Now
	}
	wrap := func(open, end string) func(any) template.HTML {
		return func(v any) template.HTML { return template.HTML(open + escape(v) + end) }
	}
	return template.FuncMap{
		"msg": l.msg, "msgn": l.count,
		"raw":    func(key string) string { return l.words[key] },
		"path":   s.path,
		"org":    s.orgPath,
		"strong": wrap("<strong>", "</strong>"),
		"tel":    wrap(`<strong class="tel">`, "</strong>"),
		"number": wrap(`<span class="tel">`, "</span>"),
		"link":   link,
		"date":   l.date,
		"clock":  func(t time.Time) string { return t.UTC().Format(l.words["format.clock"]) },
		"time": func(t time.Time) template.HTML {
			return template.HTML(`<time datetime="` + t.UTC().Format(time.RFC3339) + `">` + escape(l.date(t)) + "</time>")
		},
		"ago":  func(t time.Time) string { return l.ago(now().Sub(t)) },
		"in":   func(t time.Time) string { return l.wait(t.Sub(now())) },
		"left": func(t time.Time) int { return max(0, int(t.Sub(now()).Round(time.Second)/time.Second)) },
		"near": func(addr netip.Addr) string {
			if s.config.Locator == nil {
				return ""
			}
			return s.config.Locator.Locate(addr)
		},
		"lasting": l.lasting,
		"method":  func(m mfa.Method) string { return l.word("method.", m) },
		"role":    func(r mfa.Role) string { return l.word("role.", r) },
		"advice":  func(why mfa.Reason) string { return l.word("advice.", strings.TrimPrefix(string(why), "advise_")) },
		"failure": l.failure,
		"exempt":  func(why mfa.Reason) string { return l.word("exempt.", why) },
		"action":  func(name string) string { return l.words["action."+name] }, // anybody can write a link that names one
		"deed":    l.deed,
		"meets":   l.requirement,
		"list":    func(v ...any) []any { return v },
	}
}

// link returns an element. One that leads neither into this site nor to another page,
// such as a script in an address, leads nowhere.
func link(to string, words any) template.HTML {
	if u, err := url.Parse(to); err != nil || u.Scheme != "" && u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "mailto" {
		to = "#"
	}
	return template.HTML(`<a href="` + escape(to) + `">` + escape(words) + "</a>")
}

// failure returns the title or the text of what failed with a status. A page that knows
// none yet has no words.
func (l *language) failure(status any, part string) string {
	code, _ := status.(int)
	return l.words["failure."+failures[code]+"."+part]
}

// orgPath returns the path of one of an organization's pages, such as "settings".
func (s *Site) orgPath(id, page string) string {
	if id == "" {
		return s.path("/admin/" + page)
	}
	return s.path("/org/" + url.PathEscape(id) + "/" + page)
}

// deed says what an event did.
func (l *language) deed(e mfa.Event) string {
	if s, ok := l.words["event."+string(e.Name)+"."+e.Method.String()]; ok {
		return s
	}
	return l.word("event.", e.Name)
}

// requirement says what a new password has to meet.
func (l *language) requirement(r mfa.Requirement) string {
	key := "requirement." + string(r.Reason)
	if r.Reason == mfa.ReasonPasswordReused && r.Number > 1 {
		key += "_last"
	}
	if _, ok := l.words[key]; ok {
		return l.say(key, "n", r.Number)
	}
	return r.Sentence
}

// A Page is the data of every template.
type Page struct {
	Product string   // Config.Product
	Home    string   // Config.Home
	Lang    string   // the tag of the language
	Name    string   // of the template
	User    mfa.User // zero on pages for everybody
	Signed  bool     // there is a session, and not only a flow
	Admin   bool     // and its user administers the installation
	SignIn  bool     // a flow that leads to a session
	Door    bool     // a flow at the door of an organization
	Alert   string   // what failed, or ""
	Done    string   // what was done, or ""
	Styled  bool     // there is a static/host.css
	Data    any      // what Render was given

	Unsent      bool // Alert says that no code was sent: nothing that was typed is wrong
	Undelivered bool // because it could not be
}

// Told is where the user is told of changes, "" for nowhere.
func (p Page) Told() string {
	switch {
	case p.User.EmailVerified:
		return p.User.Email
	case p.User.PhoneVerified:
		return p.User.Phone
	}
	return ""
}

// Render answers a request with the page templates/NAME.html in the frame of all pages.
// Behind RequireSession and RequireEntry the page knows its user. A template that fails
// is answered with 500 and logged.
func (s *Site) Render(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	l := s.speaks(r)
	p := Page{
		Product: s.config.Product, Home: s.config.Home, Lang: l.tag, Name: name, Data: data,
		Styled: s.config.Files != nil && exists(s.config.Files, "static/host.css"),
	}
	user := ""
	if in := mfahttp.SessionFrom(r.Context()); in != nil {
		user, p.Signed = in.User(), true
	} else if f := mfahttp.PendingFrom(r.Context()); f != nil {
		user, p.SignIn, p.Door = f.User(), f.Purpose().SignIn(), f.Purpose().Org() != ""
	}
	if user != "" {
		p.User = s.user(r, user)
		p.Admin = p.Signed && p.User.Admin && s.directory != nil
	}
	problem, _ := mfahttp.ProblemOf(r)
	p.Undelivered = problem == mfahttp.ProblemUndelivered
	p.Unsent = p.Undelivered || problem == mfahttp.ProblemTooSoon
	p.Alert = l.alert(r, name)
	switch f := data.(type) {
	case passwordForm:
		if f.Refused {
			p.Alert = l.say("problem.weak")
		}
	case busy:
		p.Alert = l.say("problem.busy")
	}
	if key, ok := done[r.FormValue("done")]; ok && p.Alert == "" {
		p.Done = l.say(key)
	}
	var b bytes.Buffer
	err := fmt.Errorf("there is no page %q", name)
	if t := l.pages[name]; t != nil {
		err = t.ExecuteTemplate(&b, layout, p)
	}
	if err != nil {
		s.config.Log.ErrorContext(r.Context(), "page failed", "page", name, "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", l.tag)
	w.WriteHeader(status)
	b.WriteTo(w)
}

// user returns what the directory knows. A page that cannot say who somebody is says
// nothing of her; what she may do was decided before.
func (s *Site) user(r *http.Request, id string) mfa.User {
	u, err := s.config.Users.User(r.Context(), id)
	if err != nil {
		s.config.Log.ErrorContext(r.Context(), "directory failed", "error", err)
		return mfa.User{}
	}
	return u
}
