package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/seed-e797c9ce/oauth/store"
)

const maxQuery = 16 << 10 // bytes of an authorization request

// authorizeEndpoint decides what an authorization request needs now: sign-in,
// consent, or only an answer (RFC 6749 §4.1.1; OAuth 2.1 §4.1.1).
func (p *Provider) authorizeEndpoint(w http.ResponseWriter, r *http.Request) {
	pageHeaders(w.Header())
	query := r.URL.RawQuery
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost: // OpenID Connect Core §3.1.2.1; continues as GET, which login can return to
		p.authorizePost(w, r)
		return
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		p.pageRefused(w, r, "authorize", &Error{Code: ErrInvalidRequest, Description: "the method must be GET or POST", Status: http.StatusMethodNotAllowed})
		return
	}
	params, err := url.ParseQuery(query)
	if err != nil || len(query) > maxQuery {
		p.pageRefused(w, r, "authorize", errorf(ErrInvalidRequest, "the request is too long or not well encoded"))
		return
	}
	since := p.takeSignIn(params)
	req, err := p.ParseAuthorization(r.Context(), params)
	if req == nil {
		p.errorPage(w, r, err)
		return
	}
	req.signInAfter = since
	session, sessionErr := p.session(r)
	if sessionErr != nil {
		p.authorizeRefused(w, r, req, p.refused(r.Context(), Event{ClientID: req.Client.ID, Detail: "authorize"}, sessionErr))
		return
	}
	req.Session = session
	if err != nil {
		p.authorizeRefused(w, r, req, err)
		return
	}
	p.decide(w, r, req)
}

func (p *Provider) authorizePost(w http.ResponseWriter, r *http.Request) {
	form, e := readForm(w, r)
	if e != nil {
		p.pageRefused(w, r, "authorize", e)
		return
	}
	http.Redirect(w, r, p.paths.authorize+"?"+form.Encode(), http.StatusSeeOther)
}

// pageRefused reports and shows what is wrong before anything is known of the
// request.
func (p *Provider) pageRefused(w http.ResponseWriter, r *http.Request, what string, e *Error) {
	p.errorPage(w, r, p.refused(r.Context(), Event{Detail: what}, e))
}

// authorizeRefused answers a request whose client and redirect URI are proven
// and that is wrong otherwise. A stranger's error is not redirected before
// somebody has signed in, and then only by the user's own click: else whoever
// registers a client owns a redirector on this host (RFC 9700 §4.11.2). An
// outage stays here: nobody may be known to have signed in.
func (p *Provider) authorizeRefused(w http.ResponseWriter, r *http.Request, req *AuthorizationRequest, err error) {
	switch {
	case req.Client.Trust == store.TrustRegistered:
		p.respond(w, r, req, "", err)
	case asError(err).status() >= 500:
		p.errorPage(w, r, err)
	case req.Session.Subject == "":
		p.askLogin(w, r, req)
	default:
		p.interstitial(w, r, req, err)
	}
}

func (p *Provider) decide(w http.ResponseWriter, r *http.Request, req *AuthorizationRequest) {
	ctx := r.Context()
	silent := slices.Contains(req.Prompt, "none")
	refuse := func(err error) {
		err = p.refused(ctx, Event{ClientID: req.Client.ID, Subject: req.Session.Subject, Detail: "authorize"}, err)
		p.authorizeRefused(w, r, req, err)
	}
	if p.needsLogin(req) {
		switch {
		case silent && req.Client.Trust == store.TrustRegistered:
			refuse(errorf(ErrLoginRequired, "the user is not signed in"))
		case !req.signInAfter.IsZero() && req.Session.Subject != "" && req.Session.AuthTime.IsZero():
			// Back from sign-in, and the app does not say when that was: it will
			// not the next time either.
			refuse(errorf(ErrLoginRequired, "it is not known when the user signed in").because("Session.AuthTime is zero"))
		default:
			p.askLogin(w, r, req)
		}
		return
	}
	needed, covered, err := p.needsConsent(ctx, req)
	if err != nil {
		refuse(err)
		return
	}
	if needed && silent {
		refuse(errorf(ErrConsentRequired, "the user must be asked"))
		return
	}
	if needed {
		p.askConsent(w, r, req)
		return
	}
	if r.Method == http.MethodHead { // HEAD must change nothing (RFC 9110 §9.2.1)
		w.WriteHeader(http.StatusOK)
		return
	}
	code, err := p.createCode(ctx, req, Approval{Session: req.Session}, false, covered)
	if err != nil {
		refuse(err)
		return
	}
	p.respond(w, r, req, code, nil)
}

func (p *Provider) askLogin(w http.ResponseWriter, r *http.Request, req *AuthorizationRequest) {
	req.NeedsConsent, req.ResumeURL = false, p.resumePath(req)
	if p.cfg.Interact != nil {
		p.cfg.Interact(w, r, req)
		return
	}
	http.Redirect(w, r, p.loginURL(req.ResumeURL), http.StatusSeeOther)
}

func (p *Provider) askConsent(w http.ResponseWriter, r *http.Request, req *AuthorizationRequest) {
	req.NeedsConsent, req.ResumeURL = true, p.resumePath(req)
	sealed, err := p.sealInteraction(w, r, req)
	if err != nil {
		p.errorPage(w, r, p.refused(r.Context(), Event{ClientID: req.Client.ID}, err))
		return
	}
	req.Interaction = sealed
	if p.cfg.Interact != nil {
		p.cfg.Interact(w, r, req)
		return
	}
	p.consentPage(w, r, req)
}

// Approve grants a request to the user of r's session, for these of its scopes,
// such as the r.PostForm["scope"] of a form with boxes, or req.Scopes for all; and
// answers r with the redirect to the client. None, of a request for some: the
// client is answered access_denied. req comes from Config.Interact or from
// [Provider.PendingAuthorization]. The answer is written whatever happens; the
// error is for the app's log.
func (p *Provider) Approve(w http.ResponseWriter, r *http.Request, req *AuthorizationRequest, scopes []string) error {
	pageHeaders(w.Header())
	session, err := p.session(r)
	if err == nil && (session.Subject == "" || session.Subject != req.Session.Subject) {
		err = errorf(ErrAccessDenied, "the session has changed")
	}
	var code string
	if err == nil {
		if scopes == nil { // a form of which every box was unticked
			scopes = []string{}
		}
		code, err = p.CreateAuthorizationCode(r.Context(), req, Approval{Session: session, Scopes: scopes})
	}
	if err == nil {
		p.respond(w, r, req, code, nil)
		return nil
	}
	e := p.refused(r.Context(), Event{ClientID: req.Client.ID, Subject: session.Subject, Detail: "consent"}, err)
	if errors.Is(e, store.ErrExists) { // answered before: the client has had its code
		p.errorPage(w, r, e)
		return e
	}
	p.respond(w, r, req, "", e)
	return e
}

// Deny refuses a request for the user: the client is answered access_denied.
func (p *Provider) Deny(w http.ResponseWriter, r *http.Request, req *AuthorizationRequest) error {
	pageHeaders(w.Header())
	p.emit(r.Context(), Event{Kind: EventConsentDenied, ClientID: req.Client.ID, Subject: req.Session.Subject, Scopes: req.Scopes})
	p.respond(w, r, req, "", errorf(ErrAccessDenied, "the user said no"))
	return nil
}

// consentEndpoint takes the decision of the built-in page.
func (p *Provider) consentEndpoint(w http.ResponseWriter, r *http.Request) {
	pageHeaders(w.Header())
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		p.pageRefused(w, r, "consent", &Error{Code: ErrInvalidRequest, Description: "the method must be POST", Status: http.StatusMethodNotAllowed})
		return
	}
	req, err := p.PendingAuthorization(r)
	if err != nil {
		p.errorPage(w, r, err)
		return
	}
	if r.PostForm.Get("decision") != "allow" {
		p.Deny(w, r, req)
		return
	}
	p.Approve(w, r, req, r.PostForm["scope"])
}

// respond sends the browser to the client, with a code or an error, in the mode
// that the request asked for.
func (p *Provider) respond(w http.ResponseWriter, r *http.Request, req *AuthorizationRequest, code string, err error) {
	mode, ok := p.reg.modes[req.ResponseMode]
	if !ok {
		mode = respondQuery // the mode itself was what was wrong
	}
	mode(w, r, req.RedirectURI, p.responseParams(req, code, err))
}

func respondQuery(w http.ResponseWriter, _ *http.Request, to RedirectURI, params url.Values) {
	w.Header().Set("Location", to.with(params))
	w.WriteHeader(http.StatusSeeOther) // 303: never repeats a POST with its body (RFC 9700 §4.12)
}

// pageHeaders are on every answer to a browser.
func pageHeaders(h http.Header) {
	setAll(h, "Cache-Control", "no-store", "Referrer-Policy", "no-referrer", "X-Content-Type-Options", "nosniff",
		"X-Frame-Options", "DENY", "Content-Security-Policy", strictPolicy)
}

// strictPolicy is for answers that are no page.
const strictPolicy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"

// contentPolicy has no form-action unless one is given: Chromium applies it to
// the redirect that follows the form, which goes to the client and wherever that
// sends the browser next.
func contentPolicy(nonce, formAction string) string {
	csp := strictPolicy + "; style-src 'nonce-" + nonce + "'; script-src 'nonce-" + nonce + "'"
	if formAction != "" {
		csp += "; form-action " + formAction
	}
	return csp
}
