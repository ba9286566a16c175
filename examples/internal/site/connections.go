package site

import (
	"errors"
	"net/http"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// Connections adds the page on which people see which clients they have let use
// their account, and end that.
func (s *Site) Connections(mux *http.ServeMux, p *oauth.Provider) {
	mux.HandleFunc("GET /connections", s.Require(func(w http.ResponseWriter, r *http.Request, u User) {
		list, err := p.Consents(r.Context(), u.Subject)
		if err != nil {
			http.Error(w, "The page cannot be shown right now.", http.StatusServiceUnavailable)
			return
		}
		s.Pages.Show(w, http.StatusOK, "connections", list)
	}))
	mux.Handle("POST /connections", s.Form(s.Require(func(w http.ResponseWriter, r *http.Request, u User) {
		_, err := p.RevokeConsent(r.Context(), u.Subject, r.PostFormValue("client_id"))
		if err != nil && !errors.Is(err, store.ErrNotFound) { // not found: ended in another tab
			http.Error(w, "This did not work. The client may still have access: try again.", http.StatusServiceUnavailable)
			return
		}
		http.Redirect(w, r, "/connections", http.StatusSeeOther)
	})))
}
