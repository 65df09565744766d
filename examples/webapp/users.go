package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/seed-1320b244/mfa"
)

// demoPassword is that of every user until it is changed. It meets the policy.
const demoPassword = "Correct horse 47 battery"

// operator administers the installation: she helps whoever no company manages.
const operator = "erin"

// directory is the host's own table of users: names and addresses. Their passwords
// are with the library. It is in memory, whatever -store says.
type directory struct {
	mu    sync.Mutex
	users map[string]*user // by id
}

type user struct {
	id, name, fullName             string
	email, phone                   string // "" for none
	emailConfirmed, phoneConfirmed bool
}

func newDirectory(names ...string) *directory {
	d := &directory{users: make(map[string]*user)}
	for i, name := range names {
		u := &user{id: "u-" + string(rune('1'+i)), name: name, fullName: string(name[0]-'a'+'A') + name[1:]}
		u.addresses(i)
		d.users[u.id] = u
	}
	return d
}

// addresses gives the users different ones, so that everything can be tried: the
// fourth and the fifth have none, and the numbers are of a range kept free for made-up stories.
func (u *user) addresses(i int) {
	if i < 3 {
		u.email, u.emailConfirmed = u.name+"@example.com", true
	}
	if i == 0 || i == 2 {
		u.phone, u.phoneConfirmed = "+4477009001"+string(rune('0'+i))+"4", i == 0
	}
}

// profile is the user as the library sees her.
func (u user) profile() mfa.User {
	return mfa.User{
		ID: u.id, Name: u.name, Email: u.email, EmailVerified: u.emailConfirmed, Phone: u.phone, PhoneVerified: u.phoneConfirmed,
		Orgs: u.orgs(), ManagedBy: u.managedBy(), Admin: u.name == operator,
	}
}

// User implements mfa.Users.
func (d *directory) User(ctx context.Context, id string) (mfa.User, error) {
	u, ok := d.byID(id)
	if !ok {
		return mfa.User{}, mfa.ErrNoUser
	}
	return u.profile(), nil
}

// FindUser implements mfa.Finder: the login is the user name.
func (d *directory) FindUser(ctx context.Context, login string) (mfa.User, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, u := range d.users {
		if u.name == login {
			return u.profile(), nil
		}
	}
	return mfa.User{}, mfa.ErrNoUser
}

// SetAddress implements mfa.Addresses: what a user has proven to be hers goes into
// her profile.
func (d *directory) SetAddress(ctx context.Context, id string, m mfa.Method, address string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	u, ok := d.users[id]
	if !ok {
		return mfa.ErrNoUser
	}
	changed := *u
	if m == mfa.SMSCode {
		changed.phone, changed.phoneConfirmed = address, true
	} else {
		changed.email, changed.emailConfirmed = address, true
	}
	d.users[id] = &changed
	return nil
}

// called returns what others call a user.
func (d *directory) called(u mfa.User) string {
	known, _ := d.byID(u.ID)
	return known.fullName
}

func (d *directory) byID(id string) (user, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if u, ok := d.users[id]; ok {
		return *u, true
	}
	return user{}, false
}

// register gives a password to every user who has none. A real host calls
// SetPassword once, when somebody registers; here the users come anew with every
// start, and in a store that lasts their passwords are there already: setting one
// again would undo a change and end every session.
func (a *app) register(ctx context.Context) error {
	for id := range a.users.users {
		data, err := a.guard.Export(ctx, id)
		if err != nil {
			return fmt.Errorf("reading %s: %w", id, err)
		}
		var stored struct{ Password bool }
		if err := json.Unmarshal(data, &stored); err != nil {
			return err
		}
		if stored.Password {
			continue
		}
		if err := a.guard.SetPassword(ctx, id, demoPassword); err != nil {
			return fmt.Errorf("the password of %s: %w", id, err)
		}
	}
	a.inbox.empty() // the library tells of every password that is set, of the first one too
	return nil
}
