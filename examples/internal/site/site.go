// Package site is what the example apps have in common and what a real app has
// long before it becomes an OAuth provider: users, sessions, a sign-in page and a
// look. Nothing in it is specific to OAuth but the two methods that a provider
// asks, Session and User, and the page of connected apps.
package site

import (
	"net/http"
	"strings"
)

const maxForm = 64 << 10 // bytes

// Site is an app's users, their sessions and its pages.
type Site struct {
	Pages *Pages

	title    string
	hint     string
	users    *users
	scopes   map[string]string
	sessions sessions
	sameSite *http.CrossOriginProtection
}

// Options are what sites differ in.
type Options struct {
	Title     string
	Hint      string // stands on the sign-in page
	Pages     *Pages
	Users     []User
	Scopes    map[string]string // what scopes mean, for the page of connected apps
	Secure    bool              // the public URL is https: cookies are for TLS only
	HashCost  int               // bcrypt's, of password hashes; zero: its default
	AutoLogin string            // the subject that is signed in without being asked; for tests
}

// New returns a site.
func New(o Options) (*Site, error) {
	u, err := newUsers(o.Users, o.HashCost)
	if err != nil {
		return nil, err
	}
	return &Site{
		Pages: o.Pages, title: o.Title, hint: o.Hint, users: u, scopes: o.Scopes,
		sessions: sessions{byID: map[string]session{}, secure: o.Secure, auto: o.AutoLogin},
		sameSite: http.NewCrossOriginProtection(),
	}, nil
}

// Routes adds the style sheet, sign-in and sign-out.
func (s *Site) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /style.css", Style)
	mux.HandleFunc("GET /login", s.showSignIn)
	mux.Handle("POST /login", s.Form(s.signIn))
	mux.Handle("POST /logout", s.Form(s.signOut))
}

// Form wraps what answers a form of the site's own pages: forms on other sites
// are refused (CSRF), and so are long ones.
func (s *Site) Form(h http.HandlerFunc) http.Handler {
	return s.sameSite.Handler(http.MaxBytesHandler(h, maxForm))
}

// Require sends browsers without a session to the sign-in page.
func (s *Site) Require(h func(w http.ResponseWriter, r *http.Request, u User)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		in, ok := s.sessions.find(r)
		user, known := s.Find(in.subject)
		if !ok || !known || !user.Active {
			http.Redirect(w, r, "/login", http.StatusSeeOther)
			return
		}
		h(w, r, user)
	}
}

type signInPage struct {
	Title, Hint, ReturnTo, Username string
	Failed                          bool
}

func (s *Site) showSignIn(w http.ResponseWriter, r *http.Request) {
	returnTo := LocalPath(r.URL.Query().Get("return_to"))
	if s.sessions.auto != "" {
		http.Redirect(w, r, returnTo, http.StatusSeeOther)
		return
	}
	s.Pages.Show(w, http.StatusOK, "login", signInPage{Title: s.title, Hint: s.hint, ReturnTo: returnTo})
}

func (s *Site) signIn(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "The form cannot be read.", http.StatusBadRequest)
		return
	}
	returnTo := LocalPath(r.PostForm.Get("return_to"))
	username := r.PostForm.Get("username")
	user, ok := s.users.signIn(username, r.PostForm.Get("password"))
	if !ok {
		s.Pages.Show(w, http.StatusUnauthorized, "login", signInPage{
			Title: s.title, Hint: s.hint, ReturnTo: returnTo, Username: username, Failed: true,
		})
		return
	}
	s.sessions.begin(w, r, user.Subject)
	http.Redirect(w, r, returnTo, http.StatusSeeOther)
}

func (s *Site) signOut(w http.ResponseWriter, r *http.Request) {
	s.sessions.end(w, r)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// LocalPath returns where to go after sign-in: the path that was asked for if it
// is one of this host, "/" otherwise. Browsers take "//host" and "/\host" for
// other hosts, and drop tabs and line breaks before they look.
func LocalPath(path string) string {
	odd := func(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' }
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsFunc(path, odd) {
		return "/"
	}
	return path
}
