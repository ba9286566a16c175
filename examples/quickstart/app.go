package main

import (
	"embed"
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	"github.com/seed-e797c9ce/oauth/examples/internal/site"
	"github.com/seed-e797c9ce/oauth/resource"
)

//go:embed pages/*.html
var pageFiles embed.FS

const (
	maxNotes = 100  // of one user
	maxNote  = 1000 // bytes
)

// users of the app. A real app has them in its database already.
var demoUsers = []site.User{
	{Subject: "u-1", Username: "ada", Password: "lovelace", Name: "Ada", Active: true},
	{Subject: "u-2", Username: "ben", Password: "wheeler", Name: "Ben", Active: true},
}

const demoHint = "Two people live here: ada, with the password lovelace, and ben, with the password wheeler."

// notebook is what the app is about: each user has notes.
type notebook struct {
	mu    sync.Mutex
	notes map[string][]string // by subject
}

func newNotebook() *notebook {
	return &notebook{notes: map[string][]string{
		"u-1": {"Buy coffee", "Ask Ben about Friday"},
		"u-2": {"Water the plants"},
	}}
}

func (n *notebook) of(subject string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string{}, n.notes[subject]...)
}

// add reports whether there was room and the note was one.
func (n *notebook) add(subject, note string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if note = strings.TrimSpace(note); note == "" || len(note) > maxNote || len(n.notes[subject]) >= maxNotes {
		return false
	}
	n.notes[subject] = append(n.notes[subject], note)
	return true
}

// routes adds the app's own pages, for people who are signed in.
func (n *notebook) routes(mux *http.ServeMux, app *site.Site, clientURL string) {
	mux.HandleFunc("GET /{$}", app.Require(func(w http.ResponseWriter, r *http.Request, u site.User) {
		app.Pages.Show(w, http.StatusOK, "notes", map[string]any{
			"User": u, "Notes": n.of(u.Subject), "ClientURL": clientURL,
		})
	}))
	mux.Handle("POST /notes", app.Form(app.Require(func(w http.ResponseWriter, r *http.Request, u site.User) {
		if !n.add(u.Subject, r.PostFormValue("note")) {
			http.Error(w, "The note is empty or too long, or there are too many.", http.StatusBadRequest)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})))
}

// api is what programs get with a token: the notes of the user it stands for.
func (n *notebook) api(w http.ResponseWriter, r *http.Request) {
	token, ok := resource.FromContext(r.Context())
	if !ok || token.Machine() {
		http.Error(w, "notes belong to people", http.StatusForbidden)
		return
	}
	switch r.Method {
	case http.MethodGet:
	case http.MethodPost:
		var in struct{ Note string }
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 2*maxNote)).Decode(&in); err != nil || !n.add(token.Subject, in.Note) {
			http.Error(w, "the note is empty or too long, or there are too many", http.StatusBadRequest)
			return
		}
	default:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "the method must be GET or POST", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(map[string]any{"notes": n.of(token.Subject)}) // an error means that the client has gone
}
