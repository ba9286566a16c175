package site

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
)

//go:embed pages
var files embed.FS

// Pages are templates that share a layout.
type Pages struct{ set *template.Template }

// NewPages parses an app's own templates beside those of the site: sign-in and
// connected apps.
func NewPages(own fs.FS, patterns ...string) (*Pages, error) {
	set, err := template.ParseFS(files, "pages/*.html")
	if err != nil {
		return nil, err
	}
	if own != nil {
		if set, err = set.ParseFS(own, patterns...); err != nil {
			return nil, err
		}
	}
	return &Pages{set}, nil
}

// contentPolicy allows the style sheet and forms, nothing else. It has no
// form-action: browsers apply that to redirects too, and the answer to the
// sign-in form may lead on to any client's redirect URI.
const contentPolicy = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"

// Show writes a page, once it is known to be whole.
func (p *Pages) Show(w http.ResponseWriter, status int, name string, data any) {
	var page bytes.Buffer
	if err := p.set.ExecuteTemplate(&page, name, data); err != nil {
		slog.Error("page", "name", name, "error", err)
		http.Error(w, "The page cannot be shown.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(page.Bytes()) // an error means that the browser has gone
}

// Style serves the style sheet.
func Style(w http.ResponseWriter, r *http.Request) {
	http.ServeFileFS(w, r, files, "pages/style.css")
}
