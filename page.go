package oauth

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed-e797c9ce/oauth/store"
)

//go:embed pages/*.html
var pageFiles embed.FS

// ConsentPage is what a consent template is executed with. Everything a client
// said of itself is text that nobody checked.
type ConsentPage struct {
	Request      *AuthorizationRequest
	ClientName   string      // without control and direction characters, at most 100 characters
	Stranger     bool        // not registered by the operator
	Imitates     string      // a known application that a stranger's name can be taken for; empty: none
	Document     string      // host of the metadata document that the client is named by, if it is
	RedirectHost string      // where the answer goes
	Loopback     bool        // to a program on the user's own machine
	Username     string      // of the user: Users' Username, else the subject
	Scopes       []ScopeLine // for checkboxes named "scope"
	Resources    []string
	ClientURI    string
	PolicyURI    string
	TOSURI       string
	Action       string // where the form is posted to, with a button named "decision", value "allow" or "deny"
	Interaction  string // for a hidden field of that name
	Nonce        string // for style and script elements: nothing else of either runs
}

// ScopeLine is a scope with the line that explains it.
type ScopeLine struct{ Name, Description string }

// loadPages returns the built-in templates, with the app's in their place.
func loadPages(own *template.Template) (*template.Template, error) {
	pages, err := template.ParseFS(pageFiles, "pages/*.html")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"consent", "error"} {
		if _, err := pages.AddParseTree(name, pages.Lookup(name+".html").Tree); err != nil {
			return nil, err
		}
	}
	if own == nil {
		return pages, nil
	}
	if own, err = own.Clone(); err != nil { // fails for a set that was executed before
		return nil, fmt.Errorf("oauth: Config.Templates: %w", err)
	}
	if own.Lookup("consent") == nil && own.Lookup("error") == nil {
		return nil, fmt.Errorf(`oauth: Config.Templates has neither "consent" nor "error"%s: a file's template has the file's name, unless {{define "consent"}} is in it`, own.DefinedTemplates())
	}
	for _, t := range own.Templates() {
		if t.Tree == nil {
			continue
		}
		if _, err := pages.AddParseTree(t.Name(), t.Tree); err != nil {
			return nil, fmt.Errorf("oauth: Config.Templates: %w", err)
		}
	}
	return pages, nil
}

// render executes a template whole before the first byte goes out.
func (p *Provider) render(w http.ResponseWriter, r *http.Request, status int, name, nonce, formAction string, data any) {
	var page bytes.Buffer
	if err := p.pages.ExecuteTemplate(&page, name, data); err != nil {
		p.refused(r.Context(), Event{Detail: "page " + name}, outage("template", err))
		http.Error(w, "The page cannot be shown.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy(nonce, formAction))
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(page.Bytes()) // an error means that the browser has gone
	}
}

func (p *Provider) consentPage(w http.ResponseWriter, r *http.Request, req *AuthorizationRequest) {
	username := req.Session.Subject
	if p.cfg.Users != nil {
		user, err := p.cfg.Users(r.Context(), req.Session.Subject)
		if err != nil {
			p.authorizeRefused(w, r, req, p.refused(r.Context(), Event{ClientID: req.Client.ID}, outage("Users", err)))
			return
		}
		if user.Username != "" {
			username = user.Username
		}
	}
	c := req.Client
	page := ConsentPage{
		Request: req, ClientName: plainName(c.Name), Stranger: c.Trust != store.TrustRegistered,
		RedirectHost: req.RedirectURI.Host(), Loopback: req.RedirectURI.Loopback(),
		Username: plainName(username), Scopes: p.scopeLines(req.Scopes), Resources: req.Resources,
		ClientURI: c.URI, PolicyURI: c.PolicyURI, TOSURI: c.TOSURI,
		Action: p.paths.consent, Interaction: req.Interaction, Nonce: randomText(16),
	}
	if after, ok := strings.CutPrefix(c.ID, "https:"); ok && c.Trust == store.TrustDocument {
		page.Document = authority(after)
	}
	if page.Stranger {
		page.Imitates = p.imitated(r.Context(), c, page.Document, req.RedirectURI)
	}
	p.render(w, r, http.StatusOK, "consent", page.Nonce, "", page)
}

// errorPage shows an error that must not be redirected.
func (p *Provider) errorPage(w http.ResponseWriter, r *http.Request, err error) {
	e := asError(err)
	if e.status() == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "2")
	}
	status := e.status()
	if status == http.StatusUnauthorized {
		status = http.StatusBadRequest // nothing to authenticate with in a browser
	}
	p.renderError(w, r, status, e, "", "")
}

// interstitial shows an error with a way back to the client that the user can
// choose.
func (p *Provider) interstitial(w http.ResponseWriter, r *http.Request, req *AuthorizationRequest, err error) {
	p.renderError(w, r, http.StatusBadRequest, asError(err), p.ResponseURL(req, "", err), req.RedirectURI.Host())
}

func (p *Provider) renderError(w http.ResponseWriter, r *http.Request, status int, e *Error, back, host string) {
	nonce := randomText(16)
	p.render(w, r, status, "error", nonce, "", ErrorPage{Error: *e, Nonce: nonce, Return: template.URL(back), ReturnHost: host})
}

// ErrorPage is what an error template is executed with.
type ErrorPage struct {
	Error
	Return     template.URL // back to the client with the error; empty: there is no safe way back
	ReturnHost string
	Nonce      string // for style and script elements
}

// respondFormPost answers by a form that submits itself (OAuth 2.0 Form Post
// Response Mode §2), or by its button without script.
func (p *Provider) respondFormPost(w http.ResponseWriter, r *http.Request, to RedirectURI, params url.Values) {
	type field struct{ Name, Value string }
	data := struct {
		Nonce  string
		Action template.URL
		Fields []field
	}{Nonce: randomText(16), Action: template.URL(to.String())}
	for _, name := range slices.Sorted(mapKeys(params)) {
		data.Fields = append(data.Fields, field{name, params.Get(name)})
	}
	p.render(w, r, http.StatusOK, "form_post.html", data.Nonce, to.origin(), data)
}

const maxShownName = 100 // characters

// plainName takes from a name what could make it look like something else:
// control, direction and invisible characters, stacked combining marks, length.
func plainName(s string) string {
	var b strings.Builder
	n, marks := 0, 0
	for _, r := range s {
		if unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r) {
			if marks++; marks > 2 {
				continue
			}
		} else {
			marks = 0
		}
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point) {
			continue
		}
		if n++; n > maxShownName {
			b.WriteRune('…')
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}
