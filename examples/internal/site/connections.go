package site

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// Connections adds the page on which people see which clients they have let use
// their account, and end that.
func (s *Site) Connections(mux *http.ServeMux, p *oauth.Provider) {
	mux.HandleFunc("GET /connections", s.Require(func(w http.ResponseWriter, r *http.Request, u User) {
		consents, err := p.Consents(r.Context(), u.Subject)
		if err != nil {
			http.Error(w, "The page cannot be shown right now.", http.StatusServiceUnavailable)
			return
		}
		list := make([]connection, len(consents))
		for i, c := range consents {
			list[i] = s.connection(c)
		}
		s.Pages.Show(w, http.StatusOK, "connections", list)
	}))
	mux.Handle("POST /connections", s.Form(s.Require(func(w http.ResponseWriter, r *http.Request, u User) {
		if _, err := p.RevokeConsent(r.Context(), u.Subject, r.PostFormValue("client_id")); err != nil {
			http.Error(w, "This did not work. The client may still have access: try again.", http.StatusServiceUnavailable)
			return
		}
		http.Redirect(w, r, "/connections", http.StatusSeeOther)
	})))
}

// connection is one client on the page. What a client says of itself is shown
// beside what is known about it.
type connection struct {
	ClientID  string
	Name      string   // as the client says; empty: it said nothing, or is gone
	Unchecked bool     // anybody could have given the client this name
	Document  string   // host of the metadata document that the name comes from
	SentTo    []string // hosts that get the answers
	Local     bool     // answers go to a program on the user's computer
	Scopes    []string // what they mean, or else their names
	GrantedAt time.Time
	LastUsed  time.Time // zero: never
}

func (s *Site) connection(d oauth.ConsentDetail) connection {
	c := connection{ClientID: d.ClientID, GrantedAt: d.GrantedAt, LastUsed: d.LastUsed}
	for _, scope := range d.Scopes {
		if meaning := s.scopes[scope]; meaning != "" {
			scope = meaning
		}
		c.Scopes = append(c.Scopes, scope)
	}
	if d.Client == nil {
		return c
	}
	c.Name = plain(d.Client.Name)
	c.Unchecked = d.Client.Trust != store.TrustRegistered
	if u, err := url.Parse(d.ClientID); err == nil && d.Client.Trust == store.TrustDocument {
		c.Document = u.Host
	}
	for _, uri := range d.Client.RedirectURIs {
		u, err := url.Parse(uri)
		switch {
		case err != nil:
		case u.Scheme != "https" && (u.Scheme != "http" || loopback(u.Hostname())): // an app's own scheme too
			c.Local = true
		case !slices.Contains(c.SentTo, strings.ToLower(u.Host)): // as browsers show it: a capital I is taken for an l
			c.SentTo = append(c.SentTo, strings.ToLower(u.Host))
		}
	}
	return c
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// plain drops what can make a name look like another: control characters and
// those that turn the direction of text.
func plain(name string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, name))
}
