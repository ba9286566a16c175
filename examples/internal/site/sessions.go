package site

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"sync"
	"time"

	"github.com/seed-e797c9ce/oauth"
)

const (
	maxSessions     = 10_000
	sessionLifetime = 12 * time.Hour
	cookieName      = "app_session"
)

// session is a browser's sign-in. Its ID is the digest of the cookie, which
// itself is kept nowhere.
type session struct {
	id      string
	subject string
	since   time.Time
}

// sessions are kept in memory. They all live equally long, so the order in which
// they began is the one in which they end.
type sessions struct {
	mu    sync.Mutex
	byID  map[string]session
	order []string // may name sessions that have been ended

	secure bool   // cookies are for TLS only
	auto   string // the subject that is signed in where nobody is
}

func digest(cookie string) string {
	sum := sha256.Sum256([]byte(cookie))
	return hex.EncodeToString(sum[:])
}

// begin signs the subject in under a new ID: one that was known before cannot
// have been planted.
func (s *sessions) begin(w http.ResponseWriter, r *http.Request, subject string) {
	s.forget(r)
	cookie := rand.Text()
	now := time.Now()
	in := session{id: digest(cookie), subject: subject, since: now}

	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.order) > 0 {
		first, ok := s.byID[s.order[0]]
		if ok && len(s.order) < maxSessions && now.Sub(first.since) < sessionLifetime {
			break
		}
		delete(s.byID, s.order[0])
		s.order = s.order[1:]
	}
	s.byID[in.id] = in
	s.order = append(s.order, in.id)
	http.SetCookie(w, s.cookie(cookie, int(sessionLifetime.Seconds())))
}

// end signs the browser out.
func (s *sessions) end(w http.ResponseWriter, r *http.Request) {
	s.forget(r)
	http.SetCookie(w, s.cookie("", -1))
}

func (s *sessions) forget(r *http.Request) {
	if c, err := r.Cookie(cookieName); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.byID, digest(c.Value))
	}
}

func (s *sessions) find(r *http.Request) (session, bool) {
	if c, err := r.Cookie(cookieName); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if in, ok := s.byID[digest(c.Value)]; ok && time.Since(in.since) < sessionLifetime {
			return in, true
		}
	}
	return session{subject: s.auto, since: time.Now(), id: "auto"}, s.auto != ""
}

func (s *sessions) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode,
	}
}

// Session is for oauth.Config.Session.
func (s *Site) Session(r *http.Request) (oauth.Session, error) {
	in, ok := s.sessions.find(r)
	if !ok {
		return oauth.Session{}, nil
	}
	return oauth.Session{Subject: in.subject, AuthTime: in.since, ID: in.id}, nil
}
