package oauth

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	texttemplate "text/template"
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
	ClientName   string      // without control, direction and quotation characters, at most 100
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
	Nonce        string // for style and script elements in the page: nothing else of either runs, and nothing is loaded
}

// ScopeLine is a scope with the line that explains it.
type ScopeLine struct{ Name, Description string }

// loadPages returns the built-in pages by name, with the app's in their place.
// Each is executed in the set that it was parsed in: an app's template finds its
// own functions and parts there, and none of its names changes a built-in page.
func loadPages(own *template.Template) (map[string]*template.Template, error) {
	builtin, err := template.ParseFS(pageFiles, "pages/*.html")
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{"form_post": builtin.Lookup("form_post.html")}
	for _, name := range []string{"consent", "error"} {
		pages[name] = builtin.Lookup(name + ".html")
	}
	if own == nil {
		return pages, nil
	}
	names := own.DefinedTemplates()
	if c, err := own.Clone(); err == nil { // a set that was executed before cannot be cloned, nor changed any more
		own = c
	}
	found := false
	for _, name := range []string{"consent", "error"} {
		if t := own.Lookup(name); t != nil && t.Tree != nil { // New(name) alone makes one without text
			pages[name], found = t, true
		}
	}
	if !found {
		return nil, fmt.Errorf(`oauth: Config.Templates has neither "consent" nor "error"%s: a file's template has the file's name, unless {{define "consent"}} is in it`, names)
	}
	return pages, nil
}

// tryPages executes the app's templates, so that a field that is misspelled or
// forgotten is found when the program starts, and not by its users.
func (p *Provider) tryPages() error {
	if p.cfg.Templates == nil {
		return nil
	}
	const sealed, uri = "TheInteraction", "https://client.example/"
	scopes, resources := slices.Sorted(mapKeys(p.cfg.Scopes)), []string{}
	for _, r := range p.cfg.Resources {
		resources = append(resources, r.URI)
	}
	consent := ConsentPage{
		ClientName: "Client", RedirectHost: "client.example", Username: "user", Resources: resources,
		Scopes: p.scopeLines(scopes), Action: p.paths.consent, Interaction: sealed, Nonce: "nonce",
		Request: &AuthorizationRequest{
			Client: &Client{ID: "client", Name: "Client", RedirectURIs: []string{uri}}, RedirectURI: RedirectURI{uri}, Session: Session{Subject: "user"},
			Scopes: scopes, Resources: resources, MaxAge: -1, Params: url.Values{}, NeedsConsent: true, Interaction: sealed,
		},
	}
	stranger := consent
	stranger.Stranger, stranger.Loopback, stranger.Imitates, stranger.Document = true, true, "Client", "client.example"
	stranger.ClientURI, stranger.PolicyURI, stranger.TOSURI = uri, uri, uri
	refusal := ErrorPage{Error: *errorf(ErrInvalidRequest, "Description"), Nonce: "nonce"}
	withReturn := refusal
	withReturn.Return, withReturn.ReturnHost = uri, "client.example"

	var shown bytes.Buffer
	for _, try := range []struct {
		name string
		data any
	}{{"error", refusal}, {"error", withReturn}, {"consent", stranger}, {"consent", consent}} {
		shown.Reset()
		err := p.pages[try.name].Execute(&shown, try.data)
		if failed := (texttemplate.ExecError{}); errors.As(err, &failed) && !strings.Contains(err.Error(), "can't evaluate field") {
			return nil // of what a function of the app's answers, which may well need a real request
		}
		if err != nil {
			return fmt.Errorf("oauth: Config.Templates: %w", err)
		}
	}
	page := html.UnescapeString(shown.String()) // the one that is shown for a client that the operator registered
	if !strings.Contains(page, sealed) {
		return errors.New(`oauth: Config.Templates: "consent" shows no Interaction: put it into a hidden field named interaction`)
	}
	if !strings.Contains(page, p.paths.consent) {
		return nil // posted to a handler of the app's, which names its fields itself
	}
	if len(scopes) > 0 && !slices.ContainsFunc(scopes, func(s string) bool { return strings.Contains(page, s) }) {
		return errors.New(`oauth: Config.Templates: "consent" shows no Scopes: give each a checkbox named scope, or nothing is ever granted`)
	}
	if !strings.Contains(page, "decision") {
		return errors.New(`oauth: Config.Templates: "consent" has no field named decision: give it buttons of that name with the values allow and deny`)
	}
	return nil
}

// render executes a template whole before the first byte goes out.
func (p *Provider) render(w http.ResponseWriter, r *http.Request, status int, name, nonce, formAction string, data any) {
	var page bytes.Buffer
	if err := p.pages[name].Execute(&page, data); err != nil {
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
	p.render(w, r, http.StatusOK, "form_post", data.Nonce, to.origin(), data)
}

const maxShownName = 100 // characters

// plainName takes from a name what could make it look like something else:
// control, direction and invisible characters, stacked combining marks, length,
// and the end of the quotes that it stands in.
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
		if unicode.Is(unicode.Quotation_Mark, r) || r >= '❛' && r <= '❠' { // pages stand names in quotes
			r = '\''
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}
