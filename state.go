package mfa

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-1320b244/mfa/internal/keyring"
)

// stored is a record and what it holds.
type stored[T any] struct {
	rec  Record
	data T
}

// state is one user as one operation sees her: a snapshot, and on top of it what
// the operation has decided to change. It serves one attempt of one operation.
type state struct {
	g      *Guard
	now    time.Time
	client Client
	device string // of client
	actor  string // of the events
	note   string
	user   User
	asked  bool // the directory was, about user
	owner  string
	org    string  // of the events
	by     *Client // of the administrator who acts, and none of the user's business
	ruling ruling  // of the organization whose door, sign-in or administration it is

	account stored[account]
	history stored[past]
	// Sessions, pendings and browsers that are not over, oldest first. What is over is
	// deleted by the next commit that has room. What cannot be read ends only with
	// everything else: another process may have the key, or the version of the library,
	// that reads it.
	sessions   []stored[sessionData]
	pendings   []stored[pendingData]
	browsers   []stored[browserData]
	links      []stored[linkData]
	debris     []Record
	unreadable []Record

	touched bool // the account must be written
	anew    bool // an account that cannot be read is begun anew
	ending  bool // everything ends, in several commits if need be
	more    bool // and this is not the last
	writes  []Write
	entries []json.RawMessage // for the account
	events  []Event
	notices []Message
}

func ownerOf(user string) string { return "u/" + user }

// newState returns an empty snapshot of the user with this id.
func (g *Guard) newState(now time.Time, c Client, user string) *state {
	return &state{g: g, now: now, client: c, device: c.device(), actor: user, user: User{ID: user}, owner: ownerOf(user)}
}

// load reads the user from the directory and everything stored about her.
func (g *Guard) load(ctx context.Context, now time.Time, c Client, user string) (*state, error) {
	s := g.newState(now, c, user)
	if err := s.directory(ctx); err != nil {
		return nil, err
	}
	return s, s.list(ctx)
}

// directory asks the host about the user.
func (s *state) directory(ctx context.Context) error {
	u, err := s.g.users.User(ctx, s.user.ID)
	switch {
	case errors.Is(err, ErrNoUser):
		return refuse(ErrNoUser, ReasonUserUnknown)
	case err != nil:
		return &unavailable{"ask the directory", ReasonDirectoryFailed, err}
	case u.ID != s.user.ID:
		return &unavailable{"ask the directory", ReasonDirectoryFailed,
			errors.New("Users.User returned another user than it was asked for")}
	}
	s.user, s.asked = u, true
	return nil
}

// present returns an error when the account record is absent although there was
// one: loss is not innocence. Whatever writes an account where there is none would
// begin an innocent one, so that it is asked even of what only ends something.
func (s *state) present(ctx context.Context) error {
	if s.account.rec.Version != "" || s.anew || s.user.ID == "" {
		return nil
	}
	marked := s.history.rec.Version != "" // no user has a history without an account
	if s.g.marker != nil && !marked {
		var err error
		if marked, err = s.g.marker.Enrolled(ctx, s.user.ID); err != nil {
			return &unavailable{"ask the marker", ReasonDirectoryFailed, err}
		}
	}
	if marked {
		return &unavailable{"read an account", ReasonRecordMissing, errors.New("the record is gone, the user had one")}
	}
	return nil
}

// list reads everything of the user in one snapshot.
func (s *state) list(ctx context.Context) error {
	records, err := s.g.store.List(ctx, s.owner)
	if err != nil {
		return &unavailable{"list records", ReasonStoreFailed, err}
	}
	s.account, s.history = stored[account]{rec: Record{Key: s.accountKey()}}, stored[past]{rec: Record{Key: s.historyKey()}}
	for _, r := range records {
		if err := s.sort(r); err != nil {
			return err
		}
	}
	slices.SortFunc(s.sessions, func(a, b stored[sessionData]) int { return order(a.data.Created, b.data.Created, a.rec, b.rec) })
	slices.SortFunc(s.pendings, func(a, b stored[pendingData]) int { return order(a.data.Created, b.data.Created, a.rec, b.rec) })
	slices.SortFunc(s.browsers, func(a, b stored[browserData]) int { return order(a.data.Created, b.data.Created, a.rec, b.rec) })
	return s.present(ctx)
}

// sort puts one record where it belongs. A row that is no record of this library
// is left alone.
func (s *state) sort(r Record) error {
	if checkKey(r.Key) != nil {
		return nil
	}
	if r.Owner != s.owner {
		return &unavailable{"list records", ReasonStoreContract, errors.New("a record of another owner")}
	}
	if r.Version == "" && (r.Kind == kindAccount || r.Kind == kindHistory) {
		return &unavailable{"list records", ReasonTampered, keyring.ErrForged} // absent records are not listed
	}
	switch r.Kind {
	case kindAccount:
		return s.setAccount(r)
	case kindHistory:
		return s.setHistory(r)
	case kindSession:
		sortInto(s, &s.sessions, r, func(d sessionData) bool { return s.g.sessionOver(r, d, s.now) != "" })
	case kindPending:
		sortInto(s, &s.pendings, r, func(pendingData) bool { return s.over(r) })
	case kindBrowser:
		sortInto(s, &s.browsers, r, func(d browserData) bool {
			return s.over(r) || time.Unix(d.Created, 0).Before(s.g.notBefore)
		})
	case kindLink:
		sortInto(s, &s.links, r, func(d linkData) bool {
			return s.over(r) || time.Unix(d.Created, 0).Before(s.g.notBefore)
		})
	}
	return nil // of a later version of the library
}

// sortInto reads r into all, unless it is over or cannot be read.
func sortInto[T any](s *state, all *[]stored[T], r Record, over func(T) bool) {
	d := stored[T]{rec: r}
	switch {
	case s.g.open(r, &d.data) != nil:
		s.unreadable = append(s.unreadable, r)
	case over(d.data):
		s.debris = append(s.debris, r)
	default:
		*all = append(*all, d)
	}
}

// unread returns why the record with key k cannot be read, absent when there is none.
// into is what it should hold.
func (s *state) unread(k Key, absent error, into any) error {
	if i := slices.IndexFunc(s.unreadable, func(r Record) bool { return r.Key == k }); i >= 0 {
		return s.g.open(s.unreadable[i], into)
	}
	return absent
}

// order sorts by age; the id settles ties, so that every process ends the same.
func order(a, b int64, x, y Record) int {
	switch {
	case a < b || a == b && x.ID < y.ID:
		return -1
	case a == b && x.ID == y.ID:
		return 0
	}
	return 1
}

// setAccount takes the account from r. A tombstone that is over is no account,
// and one that may not be trusted is never taken for none.
func (s *state) setAccount(r Record) error {
	s.account = stored[account]{rec: r}
	if r.Version == "" {
		return nil
	}
	if err := s.g.open(r, &s.account.data); err != nil {
		s.account.data = account{}
		if !s.anew {
			return err
		}
	}
	if s.over(r) {
		s.account.data = account{}
	}
	return nil
}

func (s *state) setHistory(r Record) error {
	s.history = stored[past]{rec: r}
	if r.Version == "" {
		return nil
	}
	err := s.g.open(r, &s.history.data)
	if err != nil && s.anew {
		s.history.data, err = past{}, nil
	}
	return err
}

func (s *state) over(r Record) bool {
	return !r.Expires.IsZero() && !s.now.Before(r.Expires)
}

func (s *state) accountKey() Key { return Key{Owner: s.owner, Kind: kindAccount} }
func (s *state) historyKey() Key { return Key{Owner: s.owner, Kind: kindHistory} }

// put stages a record in place of old.
func (s *state) put(old Record, expires time.Time, value any) {
	s.stage(Write{Record: s.g.seal(old.Key, expires, value), IfVersion: old.Version})
}

// end stages the deletion of a record.
func (s *state) end(old Record) {
	s.stage(Write{Record: Record{Key: old.Key}, IfVersion: old.Version})
}

// stage adds w, in place of what was staged for the same record before.
func (s *state) stage(w Write) {
	s.writes = slices.DeleteFunc(s.writes, func(earlier Write) bool { return earlier.Key == w.Key })
	if len(w.Data) > 0 || w.IfVersion != "" {
		s.writes = append(s.writes, w)
	}
}

// endSession stages the end of a session and of the flows it opened.
func (s *state) endSession(id string) {
	s.sessions = slices.DeleteFunc(s.sessions, func(d stored[sessionData]) bool {
		if d.rec.ID == id {
			s.end(d.rec)
		}
		return d.rec.ID == id
	})
	s.endPendings(func(d pendingData) bool { return d.Session == id })
}

// endPendings stages the end of the flows that match.
func (s *state) endPendings(match func(pendingData) bool) {
	s.pendings = slices.DeleteFunc(s.pendings, func(d stored[pendingData]) bool {
		if match(d.data) {
			s.end(d.rec)
		}
		return match(d.data)
	})
	s.touched = true
}

// endUnreadable stages the end of the sessions and flows that cannot be read.
func (s *state) endUnreadable() {
	s.ending = true
	for _, r := range s.unreadable {
		s.end(r)
	}
}

// endAll stages the end of every session, flow and known browser, of those that
// cannot be read as well.
func (s *state) endAll() {
	s.endUnreadable()
	for len(s.sessions) > 0 {
		s.endSession(s.sessions[0].rec.ID)
	}
	s.endPendings(func(pendingData) bool { return true })
	s.endBrowsers(func(string) bool { return true })
	s.endLinks(func(d linkData) bool { return d.Does == resetPassword })
}

// tell stages an event, and its entry in the history when it is one to keep.
func (s *state) tell(e Event) {
	e.Actor, e.User, e.Org, e.At = s.actor, s.user.ID, s.org, s.now.UTC()
	if s.note != "" {
		e.Note = s.note
	}
	e.Client, e.Device = s.client, s.device
	if s.by != nil {
		e.Client, e.Device = *s.by, s.by.device()
	}
	s.events = append(s.events, e)
	if s.g.notifier != nil && (e.Name.noticed() || s.by != nil) {
		s.notices = append(s.notices, s.notice(e)...)
	}
	if !e.Name.kept() {
		return
	}
	h := entry{
		Name: e.Name, At: s.now.Unix(), Method: e.Method.String(), Reason: e.Reason,
		Session: e.Session, Org: e.Org,
	}
	switch {
	case s.user.ID == "":
		h.Actor, h.Org, h.Note = s.actor, "", e.Note // an organization's own
	case s.actor != s.user.ID:
		h.Actor = s.actor
	default:
		h.Device, h.Addr = e.Device, s.client.addr()
	}
	s.remember(h)
}

// commit returns what to write, nil when the operation changes nothing.
func (s *state) commit() ([]Write, error) {
	if s.touched {
		s.fileAway()
		a := s.account.data
		a.V = recordVersion
		var expires time.Time
		if a.Forgotten {
			expires = s.now.Add(forgetFor)
		}
		s.put(s.account.rec, expires, a)
	}
	for _, w := range s.writes {
		if w.Kind == kindAccount && len(w.Data) > maxRecord {
			return nil, &unavailable{"commit", ReasonStoreContract, fmt.Errorf("an account of %d bytes", len(w.Data))}
		}
	}
	switch n := maxWrites - len(s.writes); {
	case len(s.writes) == 0:
	case n >= 0:
		for _, r := range s.debris[:min(len(s.debris), n)] {
			s.end(r)
		}
	case s.ending:
		// More than the library ever lets a user have: somebody put rows back. The
		// account is the last that was staged.
		s.writes, s.more = s.writes[-n:], true
	default:
		return nil, &unavailable{"commit", ReasonStoreContract, errors.New("more records than a user may have")}
	}
	return s.writes, nil
}
