package pages

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
)

// User management: who keeps the rules, and help for whoever is locked out.

// A colleague is a member as an administrator sees her.
type colleague struct {
	mfa.MemberStatus
	FullName string
	Self     bool
	Can      bool // be helped by this administrator; the library decides anew
}

// maxShown is how many members a page lists: one of everybody would be of any length.
const maxShown = 200

// maxFind bytes are more than any name that is looked for.
const maxFind = 254

// find returns the names of the members of an organization in which what was typed is,
// of all for "", by their id: at most maxShown, and whether there are more. It is for
// who has shown that she administers.
func (s *Site) find(ctx context.Context, org, typed string) (names map[string]string, more bool, err error) {
	if s.directory == nil {
		return nil, false, fmt.Errorf("%w: Config.Users is no Directory", mfa.ErrInvalid)
	}
	typed = strings.ToLower(typed)
	names = make(map[string]string)
	for u, err := range s.directory.Members(ctx, org) {
		if err != nil {
			return nil, false, fmt.Errorf("%w: %w", mfa.ErrUnavailable, err)
		}
		name := s.config.Name(u)
		has := []string{name}
		if u.ManagedBy == org { // of others she would learn by trying what the page does not show
			has = append(has, u.Name, u.Email, u.ID)
		}
		if !slices.ContainsFunc(has, func(h string) bool { return strings.Contains(strings.ToLower(h), typed) }) {
			continue
		}
		if len(names) == maxShown {
			return names, true, nil
		}
		names[u.ID] = name
	}
	return names, false, nil
}

// A list is members as the page shows them.
type list struct {
	form
	All            []colleague
	Find           string // what was typed
	More           bool   // there are, and they are not shown
	Count, Missing int    // of everybody, shown or not
	Elsewhere      bool   // some accounts are managed by an organization
}

func (s *Site) membersPage(w http.ResponseWriter, r *http.Request, c account) {
	admin, rules, _, err := s.rules(r, c)
	if err != nil {
		s.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	l := list{form: shown(c, rules), Find: strings.TrimSpace(r.FormValue("find"))}
	if len(l.Find) > maxFind {
		s.failed(w, r, http.StatusBadRequest, nil)
		return
	}
	names, more, err := s.find(r.Context(), c.ID, l.Find)
	if err != nil {
		s.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	l.More = more
	for m, err := range admin.Compliance(r.Context()) {
		if err != nil {
			s.web.Next(w, r, mfa.Outcome{}, err)
			return
		}
		l.Count++
		if !m.Meets {
			l.Missing++
		}
		l.Elsewhere = l.Elsewhere || !m.Managed
		if name, ok := names[m.User]; ok {
			self := m.User == mfahttp.SessionFrom(r.Context()).User()
			l.All = append(l.All, colleague{m, name, self, m.Managed && !self && (m.Role == mfa.RoleMember || c.Role == mfa.RoleOwner)})
		}
	}
	s.Render(w, r, http.StatusOK, "org-members", l)
}

// membersReport is the list as a file. It is written as it is read, so that a failure
// on the way is told on its last line, and by the connection.
func (s *Site) membersReport(w http.ResponseWriter, r *http.Request, c account) {
	admin, err := mfahttp.SessionFrom(r.Context()).Admin(r.Context(), c.ID)
	if err != nil {
		s.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	out := &file{ResponseWriter: w, name: "compliance.csv"}
	switch err := mfa.WriteCompliance(out, admin.Compliance(r.Context())); {
	case err != nil && !out.begun:
		s.web.Next(w, r, mfa.Outcome{}, err)
	case err != nil:
		s.config.Log.ErrorContext(r.Context(), "report broke off", "org", c.ID, "error", err)
		panic(http.ErrAbortHandler)
	}
}

// file is an answer to be saved, from the first byte of it on.
type file struct {
	http.ResponseWriter
	name  string
	begun bool
}

func (f *file) Write(p []byte) (int, error) {
	if !f.begun {
		f.begun = true
		f.Header().Set("Content-Type", "text/csv; charset=utf-8")
		f.Header().Set("Content-Disposition", `attachment; filename="`+f.name+`"`)
	}
	return f.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (f *file) Unwrap() http.ResponseWriter { return f.ResponseWriter }

// memberPage warns of what the form on it will do.
func (s *Site) memberPage(w http.ResponseWriter, r *http.Request, c account) {
	if _, err := mfahttp.SessionFrom(r.Context()).Admin(r.Context(), c.ID); err != nil {
		s.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	u, err := s.config.Users.User(r.Context(), r.FormValue("user"))
	if _, member := roleIn(u, c.ID); err != nil || !member || deeds[r.PathValue("do")] == nil {
		s.notFound(w, r)
		return
	}
	s.Render(w, r, http.StatusOK, "org-member", struct {
		account
		Do, Member, FullName string
	}{c, r.PathValue("do"), u.ID, s.config.Name(u)})
}

// deeds are what an administrator can do to a member, by their name in the address.
var deeds = map[string]func(*mfa.Admin, *http.Request, string) error{
	"reset":  func(a *mfa.Admin, r *http.Request, user string) error { return a.Reset(r.Context(), user) },
	"unlock": func(a *mfa.Admin, r *http.Request, user string) error { return a.Unlock(r.Context(), user) },
	"password": func(a *mfa.Admin, r *http.Request, user string) error {
		return a.RequirePasswordChange(r.Context(), user)
	},
	"end": func(a *mfa.Admin, r *http.Request, user string) error { return a.EndSessions(r.Context(), user) },
}

func (s *Site) changeMember(w http.ResponseWriter, r *http.Request, c account) {
	do := deeds[r.PathValue("do")]
	if do == nil {
		s.notFound(w, r)
		return
	}
	admin, err := mfahttp.SessionFrom(r.Context()).Admin(r.Context(), c.ID)
	if err == nil {
		err = do(admin, r, r.PostFormValue("user"))
	}
	if err != nil {
		s.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	http.Redirect(w, r, s.orgPath(c.ID, "members?done=member-"+r.PathValue("do")), http.StatusSeeOther)
}
