package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"sync"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/seed-1320b244/mfa"
)

// demoPassword is that of every user until it is changed.
const demoPassword = "correct horse battery"

// directory is the host's own table of users: names and passwords stay with it.
// It is in memory, whatever -store says.
type directory struct {
	mu      sync.Mutex
	users   map[string]*user // by id
	nobody  user             // stands in for users that do not exist
	hashing chan struct{}    // a place for each hash computed at once: 19 MiB
}

type user struct {
	id, name, fullName             string
	email, phone                   string // "" for none
	emailConfirmed, phoneConfirmed bool
	salt, hash                     []byte
}

func newDirectory(names ...string) *directory {
	d := &directory{users: make(map[string]*user), hashing: make(chan struct{}, 4)}
	d.nobody.setPassword(d, rand.Text())
	for i, name := range names {
		u := &user{id: "u-" + string(rune('1'+i)), name: name, fullName: string(name[0]-'a'+'A') + name[1:]}
		u.addresses(i)
		u.setPassword(d, demoPassword)
		d.users[u.id] = u
	}
	return d
}

// addresses gives the users different ones, so that everything can be tried: the
// fourth has none, and the numbers are of a range kept free for made-up stories.
func (u *user) addresses(i int) {
	if i < 3 {
		u.email, u.emailConfirmed = u.name+"@example.com", true
	}
	if i == 0 || i == 2 {
		u.phone, u.phoneConfirmed = "+4477009001"+string(rune('0'+i))+"4", i == 0
	}
}

// User implements mfa.Users.
func (d *directory) User(ctx context.Context, id string) (mfa.User, error) {
	u, ok := d.byID(id)
	if !ok {
		return mfa.User{}, mfa.ErrNoUser
	}
	return mfa.User{
		ID: u.id, Name: u.name, Email: u.email, EmailVerified: u.emailConfirmed, Phone: u.phone, PhoneVerified: u.phoneConfirmed,
	}, nil
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

func (d *directory) byID(id string) (user, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if u, ok := d.users[id]; ok {
		return *u, true
	}
	return user{}, false
}

// check returns the id of the user with this name and password. A wrong password
// and an unknown name cost the same: one hash. A real host also limits how often
// it is asked, by address and by name.
func (d *directory) check(name, password string) (id string, ok bool) {
	u := d.nobody
	d.mu.Lock()
	for _, known := range d.users {
		if known.name == name {
			u = *known
		}
	}
	d.mu.Unlock()
	if len(password) > 1024 {
		return "", false
	}
	right := subtle.ConstantTimeCompare(d.derive(password, u.salt), u.hash) == 1
	return u.id, right && u.id != ""
}

var errWeakPassword = errors.New("a password has at least 8 characters and is not the old one")

// setPassword changes a user's password. 8 characters are enough because here a
// password alone opens nothing (SP 800-63B-4 section 3.1.1.2).
func (d *directory) setPassword(id, password string) error {
	old, ok := d.byID(id)
	if !ok || utf8.RuneCountInString(password) < 8 || len(password) > 1024 || !utf8.ValidString(password) ||
		subtle.ConstantTimeCompare(d.derive(password, old.salt), old.hash) == 1 {
		return errWeakPassword
	}
	changed := old
	changed.setPassword(d, password)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.users[id] = &changed
	return nil
}

func (u *user) setPassword(d *directory, password string) {
	u.salt = make([]byte, 16)
	rand.Read(u.salt)
	u.hash = d.derive(password, u.salt)
}

// derive is argon2id with parameters that the OWASP password storage cheat sheet
// names: 19 MiB, 2 passes, 1 lane.
func (d *directory) derive(password string, salt []byte) []byte {
	d.hashing <- struct{}{}
	defer func() { <-d.hashing }()
	return argon2.IDKey([]byte(password), salt, 2, 19<<10, 1, 32)
}
