package oauth

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// interaction is a request that waits for a person: sealed, it travels through
// the page and comes back with the decision. Nothing is stored meanwhile. It is
// bound to the browser by a cookie, to the user and the user's session, and it
// carries the ID of the authorization that it can become, so that it can be
// approved once.
type interaction struct {
	ID      string `json:"id"`
	Query   string `json:"query"` // the request as it came: it is judged again on approval
	Subject string `json:"sub"`
	Session string `json:"sid,omitempty"`
	Browser string `json:"browser"` // digest of the cookie
	Shown   string `json:"shown"`   // digest of what the page says
	Expires int64  `json:"exp"`
}

// shown is a digest of what a page says about the request and what saying yes to
// it means. If that has changed when the decision comes, it was a decision about
// something else.
func shown(req *AuthorizationRequest) string {
	return hashKey(fmt.Sprintf("%x %q %q %q", consentHash(req.Client), req.RedirectURI.uri, req.Scopes, req.Resources))
}

// browserCookie binds pages to a browser. The __Host- prefix makes browsers
// refuse one that was set from a subdomain or without TLS.
func (p *Provider) browserCookie() string {
	if p.secure {
		return "__Host-oauth-browser"
	}
	return "oauth-browser"
}

const browserBytes = 32

// browser returns what identifies the browser, and gives it a cookie if it has
// none. Tabs share it.
func (p *Provider) browser(w http.ResponseWriter, r *http.Request) string {
	if id := p.knownBrowser(r); id != "" {
		return id
	}
	id := randomText(browserBytes)
	http.SetCookie(w, &http.Cookie{
		Name: p.browserCookie(), Value: id, Path: "/",
		HttpOnly: true, Secure: p.secure, SameSite: http.SameSiteLaxMode,
	})
	return id
}

func (p *Provider) knownBrowser(r *http.Request) string {
	c, err := r.Cookie(p.browserCookie())
	if err != nil || len(c.Value) != len(randomText(browserBytes)) || !isBase64URL(c.Value) {
		return ""
	}
	return c.Value
}

func (p *Provider) sealInteraction(w http.ResponseWriter, r *http.Request, req *AuthorizationRequest) (string, error) {
	b, err := json.Marshal(interaction{
		ID: req.id, Query: req.query(), Subject: req.Session.Subject, Session: req.Session.ID,
		Browser: hashKey(p.browser(w, r)), Shown: shown(req),
		Expires: now().Add(p.cfg.Policy.InteractionLifetime).Unix(),
	})
	if err != nil {
		return "", outage("interaction", err)
	}
	return p.sealInter.sealText(b), nil
}

// PendingAuthorization returns the request that a consent page was shown for,
// from the form field "interaction" of a POST, judged again as things are now.
// Call it in the handler that the app's own consent page posts to, before
// [Provider.Approve] or [Provider.Deny]. ErrAccessDenied: the form does not come
// from this user's page in this browser, or is too old. Any other error: the
// request is not what the page showed any more.
func (p *Provider) PendingAuthorization(r *http.Request) (*AuthorizationRequest, error) {
	if r.Method != http.MethodPost {
		return nil, &Error{Code: ErrInvalidRequest, Description: "the method must be POST", Status: http.StatusMethodNotAllowed}
	}
	refuse := func(why string) (*AuthorizationRequest, error) {
		return nil, p.refused(r.Context(), Event{Detail: "consent"},
			(&Error{Code: ErrAccessDenied, Description: "this page is no longer valid; start again from the application"}).because("%s", why))
	}
	if err := p.crossOrigin.Check(r); err != nil {
		return refuse("cross-origin request")
	}
	r.Body = http.MaxBytesReader(nil, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return refuse("the form cannot be read")
	}
	sealed := r.PostForm.Get("interaction")
	if sealed == "" {
		return refuse("the form has no field interaction")
	}
	plain, err := p.sealInter.openText(sealed)
	if err != nil {
		return refuse("the interaction is not one of this provider, or of another Secret")
	}
	var in interaction
	if err := json.Unmarshal(plain, &in); err != nil {
		return refuse("interaction cannot be read")
	}
	session, err := p.session(r)
	if err != nil {
		return nil, p.refused(r.Context(), Event{Detail: "consent"}, err)
	}
	browser := p.knownBrowser(r)
	switch {
	case browser == "":
		return refuse("the cookie " + p.browserCookie() + " did not come back, which was set with the page")
	case subtle.ConstantTimeCompare([]byte(hashKey(browser)), []byte(in.Browser)) != 1:
		return refuse("interaction of another browser")
	case session.Subject != in.Subject || session.ID != in.Session:
		return refuse("interaction of another session")
	case now().Unix() >= in.Expires:
		return refuse("interaction has expired")
	}
	params, err := url.ParseQuery(in.Query)
	if err != nil {
		return refuse("interaction holds no request")
	}
	req, err := p.ParseAuthorization(r.Context(), params)
	if err == nil && in.Shown != shown(req) {
		err = p.refused(r.Context(), Event{ClientID: req.Client.ID, Detail: "consent"},
			errorf(ErrInvalidRequest, "the application, or what it asks for, has changed since this page was shown; start again from the application"))
	}
	if err != nil { // not what the page showed any more
		return nil, err
	}
	req.id, req.Session, req.NeedsConsent = in.ID, session, true
	return req, nil
}

// resumePath is the path of the request, with the moment that a sign-in was
// first asked for, so that prompt=login can tell an old sign-in from a new one.
func (p *Provider) resumePath(req *AuthorizationRequest) string {
	since := req.signInAfter
	if since.IsZero() {
		since = now()
	}
	query := req.query()
	stamp, err := json.Marshal(signIn{Query: hashKey(query), Since: since.Unix()})
	if err != nil { // two plain fields always marshal
		return p.paths.authorize + "?" + query
	}
	sep := "&"
	if query == "" {
		sep = ""
	}
	return p.paths.authorize + "?" + query + sep + signInParam + "=" + p.sealLogin.sealText(stamp)
}

// signIn is the sealed stamp of resumePath; it belongs to one request.
type signIn struct {
	Query string `json:"query"`
	Since int64  `json:"since"`
}

const signInParam = "oauth_sign_in"

// takeSignIn removes the stamp from the parameters and returns the moment, or
// the zero time if there is no stamp of this very request that is still fresh.
func (p *Provider) takeSignIn(params url.Values) time.Time {
	text := params.Get(signInParam)
	params.Del(signInParam)
	if text == "" {
		return time.Time{}
	}
	plain, err := p.sealLogin.openText(text)
	if err != nil {
		return time.Time{}
	}
	var s signIn
	if json.Unmarshal(plain, &s) != nil || s.Query != hashKey(params.Encode()) {
		return time.Time{}
	}
	since := time.Unix(s.Since, 0).UTC()
	if now().Sub(since) > p.cfg.Policy.InteractionLifetime {
		return time.Time{}
	}
	return since
}

// session asks the app who is signed in.
func (p *Provider) session(r *http.Request) (Session, error) {
	s, err := p.cfg.Session(r)
	if err != nil {
		return Session{}, outage("Config.Session (that nobody is signed in is no error)", err)
	}
	return s, nil
}

// loginURL is where nobody is sent.
func (p *Provider) loginURL(resume string) string {
	if !strings.HasPrefix(p.cfg.LoginURL, "/") {
		resume = p.origin + resume
	}
	sep := "?"
	if strings.Contains(p.cfg.LoginURL, "?") {
		sep = "&"
	}
	return p.cfg.LoginURL + sep + "return_to=" + url.QueryEscape(resume)
}
