package mfahttp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/seed-1320b244/mfa"
)

// A rules is mfa.Rules, durations in seconds. Every field must be there: rules are
// replaced as a whole, and one that a client left out would ask for less.
type rules struct {
	Require         string       `json:"require"`
	From            *time.Time   `json:"from"`
	Methods         []mfa.Method `json:"methods"` // none: an authenticator app
	Remember        int64        `json:"remember"`
	SessionFor      int64        `json:"session_for"`
	IdleFor         int64        `json:"idle_for"`
	FreshFor        int64        `json:"fresh_for"`
	SSO             []connection `json:"sso"`
	Exempt          []string     `json:"exempt"`
	ProofsNotBefore *time.Time   `json:"proofs_not_before"`
}

type connection struct {
	Name string   `json:"name"`
	Rule string   `json:"rule"`
	AMR  []string `json:"amr"`
	ACR  []string `json:"acr"`
}

var (
	requires = []string{mfa.RequireOff: "off", mfa.RequireAtDoor: "at_door", mfa.RequireAtSignIn: "at_sign_in"}
	ssoRules = []string{mfa.SSOStillRequired: "still_required", mfa.SSOTrustAsserted: "trust_asserted", mfa.SSOWaive: "waive"}
)

func rulesFrom(r mfa.Rules) rules {
	v := rules{
		Require: requires[r.Require], From: when(r.From), Methods: list(r.Methods), SSO: []connection{}, Exempt: list(r.Exempt),
		Remember: int64(r.Remember / time.Second), SessionFor: int64(r.SessionFor / time.Second),
		IdleFor: int64(r.IdleFor / time.Second), FreshFor: int64(r.FreshFor / time.Second), ProofsNotBefore: when(r.ProofsNotBefore),
	}
	for _, c := range r.SSO {
		v.SSO = append(v.SSO, connection{c.Name, ssoRules[c.Rule], list(c.AMR), list(c.ACR)})
	}
	return v
}

// maxSeconds keeps a figure within a time.Duration; what it may be the Guard says.
const maxSeconds = 7 * 24 * 60 * 60

// to returns what rulesFrom was given.
func (v rules) to() (mfa.Rules, error) {
	r := mfa.Rules{Require: mfa.Require(slices.Index(requires, v.Require)), Methods: some(v.Methods), Exempt: some(v.Exempt)}
	if r.Require < 0 {
		return mfa.Rules{}, malformed("rules.require")
	}
	for _, f := range []struct {
		name    string
		seconds int64
		to      *time.Duration
	}{
		{"remember", v.Remember, &r.Remember}, {"session_for", v.SessionFor, &r.SessionFor},
		{"idle_for", v.IdleFor, &r.IdleFor}, {"fresh_for", v.FreshFor, &r.FreshFor},
	} {
		if f.seconds < 0 || f.seconds > maxSeconds {
			return mfa.Rules{}, malformed("rules." + f.name)
		}
		*f.to = time.Duration(f.seconds) * time.Second
	}
	if v.From != nil {
		r.From = *v.From
	}
	if v.ProofsNotBefore != nil {
		r.ProofsNotBefore = *v.ProofsNotBefore
	}
	for _, c := range v.SSO {
		rule := mfa.SSORule(slices.Index(ssoRules, c.Rule))
		if rule < 0 {
			return mfa.Rules{}, malformed("rules.sso.rule")
		}
		r.SSO = append(r.SSO, mfa.Connection{Name: c.Name, Rule: rule, AMR: some(c.AMR), ACR: some(c.ACR)})
	}
	return r, nil
}

// aboutRules is about for rules that the Guard refuses: its error begins with the field.
func aboutRules(err error) error {
	text, _ := strings.CutPrefix(fmt.Sprint(err), mfa.ErrInvalid.Error()+": Rules.")
	name, _, _ := strings.Cut(text, " ")
	f, ok := reflect.TypeFor[rules]().FieldByName(name) // which has the names of mfa.Rules
	if !ok {
		return err
	}
	return about("rules."+nameOf(f), err)
}

// some returns s, nil for none: that is what it was made from.
func some[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}

// A ruleSet is rules with their version.
type ruleSet struct {
	Rules   rules     `json:"rules"`
	Version string    `json:"version"`
	By      string    `json:"by,omitempty"` // of those that came between
	At      time.Time `json:"at,omitzero"`
}

type rulesOnly struct {
	Rules rules `json:"rules"`
}

type rulesVersion struct {
	Rules   rules  `json:"rules"`
	Version string `json:"version"`
}

// A preview is mfa.Preview.
type preview struct {
	Members        int `json:"members"`
	Unmanaged      int `json:"unmanaged"`
	Affected       int `json:"affected"`
	AffectedFrom   int `json:"affected_from"`
	NotEnrolled    int `json:"not_enrolled"`
	LoseOnlyMethod int `json:"lose_only_method"`
	ExemptBySSO    int `json:"exempt_by_sso"`
	Exempt         int `json:"exempt"`
	Unreadable     int `json:"unreadable"`
}

type userOnly struct {
	User string `json:"user"`
}

type activity struct {
	Activity []event `json:"activity"`
}

type members struct {
	Members []member `json:"members"`
}

// A member is mfa.MemberStatus. Of one whom the organization does not manage there is
// no more than the first four.
type member struct {
	User         string       `json:"user"`
	Role         string       `json:"role"`
	Meets        bool         `json:"meets"`
	Managed      bool         `json:"managed"`
	Methods      []mfa.Method `json:"methods,omitempty"`
	CodesLeft    int          `json:"codes_left,omitempty"`
	LastVerified *time.Time   `json:"last_verified,omitempty"`
	Locked       bool         `json:"locked,omitempty"`
	Exempt       mfa.Reason   `json:"exempt,omitempty"`
	Disabled     bool         `json:"disabled,omitempty"`
	Problem      mfa.Reason   `json:"problem,omitempty"`
}

// withAdmin is op for the administrator of the organization that the parameter org
// names, "" for the installation.
func withAdmin[In, Out any](method, path string, do func(*call, *mfa.Admin, In) (Out, error)) route {
	return op(method, path, with((*call).admin, do), "org")
}

func (c *call) admin() (*mfa.Admin, error) {
	s, err := c.session()
	if err != nil {
		return nil, err
	}
	a, err := s.Admin(c.r.Context(), c.r.URL.Query().Get("org"))
	return a, about("org", err)
}

// adminRoutes are for administrators and owners.
func adminRoutes() []route {
	onMember := func(path string, do func(*mfa.Admin, context.Context, string) error) route {
		return withAdmin(http.MethodPost, path, func(c *call, a *mfa.Admin, in userOnly) (none, error) {
			return none{}, about("user", do(a, c.r.Context(), in.User))
		})
	}
	return []route{
		withAdmin(http.MethodGet, "/admin/rules", func(c *call, a *mfa.Admin, _ none) (ruleSet, error) {
			r, version, err := a.Rules(c.r.Context())
			return ruleSet{Rules: rulesFrom(r), Version: version}, err
		}),
		withAdmin(http.MethodPost, "/admin/rules", func(c *call, a *mfa.Admin, in rulesVersion) (none, error) {
			r, err := in.Rules.to()
			if err != nil {
				return none{}, err
			}
			return none{}, aboutRules(a.SetRules(c.r.Context(), r, in.Version))
		}),
		withAdmin(http.MethodPost, "/admin/rules/preview", func(c *call, a *mfa.Admin, in rulesOnly) (preview, error) {
			r, err := in.Rules.to()
			if err != nil {
				return preview{}, err
			}
			p, err := a.Preview(c.r.Context(), r)
			return preview(p), aboutRules(err)
		}),
		withAdmin(http.MethodGet, "/admin/activity", func(c *call, a *mfa.Admin, _ none) (activity, error) {
			all, err := a.Activity(c.r.Context())
			return activity{eventsOf(all)}, err
		}),
		{method: http.MethodGet, path: "/admin/members", query: []string{"org"}, answer: reflect.TypeFor[members](), serve: (*call).compliance},
		onMember("/admin/members/reset", (*mfa.Admin).Reset),
		onMember("/admin/members/unlock", (*mfa.Admin).Unlock),
		onMember("/admin/members/end-sessions", (*mfa.Admin).EndSessions),
		onMember("/admin/members/require-password-change", (*mfa.Admin).RequirePasswordChange),
	}
}

// compliance writes one member after the other, so that an organization of any size
// takes the same memory. What fails after the first breaks the connection: a list that
// ends early must not read as one of everybody.
func (c *call) compliance() error {
	a, err := c.admin()
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/json") // a problem sets another
	w := bufio.NewWriter(c.w)
	io.WriteString(w, `{"members":[`)
	separator := ""
	for m, err := range a.Compliance(c.r.Context()) {
		if err != nil && separator == "" { // nothing is sent yet
			return err
		}
		if err != nil {
			c.api.report(c.r, http.StatusOK, err)
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, separator)
		encode(w, memberOf(m))
		separator = ","
	}
	io.WriteString(w, "]}\n")
	w.Flush()
	return nil
}

func memberOf(m mfa.MemberStatus) member {
	return member{
		User: m.User, Role: m.Role.String(), Meets: m.Meets, Managed: m.Managed, Methods: m.Methods, CodesLeft: m.CodesLeft,
		LastVerified: when(m.LastVerified), Locked: m.Locked, Exempt: m.Exempt, Disabled: m.Disabled, Problem: m.Problem,
	}
}
