package site

import (
	"context"
	"fmt"

	"golang.org/x/crypto/bcrypt"

	"github.com/seed-e797c9ce/oauth"
)

// User is a user of the app.
type User struct {
	Subject  string // never changes and is never given to anybody else
	Username string
	Password string // as typed; New keeps only a hash
	Email    string
	Name     string
	Active   bool
}

type users struct {
	bySubject map[string]User
	byName    map[string]User
	hashes    map[string][]byte // by subject
	nobody    []byte            // what the password of an unknown user is compared with
}

func newUsers(list []User, cost int) (*users, error) {
	u := &users{bySubject: map[string]User{}, byName: map[string]User{}, hashes: map[string][]byte{}}
	if cost == 0 {
		cost = bcrypt.DefaultCost
	}
	var err error
	if u.nobody, err = bcrypt.GenerateFromPassword([]byte("nobody"), cost); err != nil {
		return nil, err
	}
	for _, x := range list {
		hash, err := bcrypt.GenerateFromPassword([]byte(x.Password), cost)
		if err != nil {
			return nil, fmt.Errorf("the password of user %q: %w", x.Username, err)
		}
		x.Password = ""
		u.bySubject[x.Subject], u.byName[x.Username], u.hashes[x.Subject] = x, x, hash
	}
	return u, nil
}

// signIn returns the active user with this name and password. Whether there is
// such a user cannot be told from how long it takes.
func (u *users) signIn(username, password string) (User, bool) {
	user, known := u.byName[username]
	hash := u.nobody
	if known {
		hash = u.hashes[user.Subject]
	}
	match := bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil
	return user, known && match && user.Active
}

// User is for oauth.Config.Users: what tokens and introspection say of a user,
// and whether there are to be any.
func (s *Site) User(_ context.Context, subject string) (oauth.User, error) {
	user, ok := s.users.bySubject[subject]
	return oauth.User{Active: ok && user.Active, Username: user.Username}, nil
}

// Find returns the user with this subject, as the app's own pages and API show it.
func (s *Site) Find(subject string) (User, bool) {
	user, ok := s.users.bySubject[subject]
	return user, ok
}
