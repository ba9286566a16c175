package oauth

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/seed-e797c9ce/oauth/store"
)

// AuthorizationRequest is an authorization request (RFC 6749 §4.1.1) that was
// found valid: its client exists, its redirect URI is the client's.
type AuthorizationRequest struct {
	Client       *Client
	RedirectURI  RedirectURI
	ResponseMode string
	State        string
	Nonce        string   // OpenID Connect; kept with the code
	Scopes       []string // what can be granted of what was asked for
	Resources    []string // RFC 8707
	Prompt       []string // OpenID Connect Core §3.1.2.1: none, login, consent, select_account
	MaxAge       int      // seconds since sign-in that are acceptable; -1: any
	Params       url.Values

	// NeedsConsent says why a person is needed, in Interact: true: the user is
	// signed in and must be asked; false: the user must sign in.
	NeedsConsent bool

	Session Session // who is signed in; the zero Session before anybody is

	// ResumeURL is the path of this request at the provider: where to send the
	// browser after sign-in. Empty outside of Config.Interact.
	ResumeURL string

	// Interaction is the request, sealed and bound to this browser, for a hidden
	// field named "interaction" in a form of the app's own that ends in
	// [Provider.PendingAuthorization]. Empty unless NeedsConsent.
	Interaction string

	challenge   string
	redirectSet bool   // redirect_uri was in the request (RFC 6749 §4.1.3)
	id          string // of the authorization that this request may become
	signInAfter time.Time
	asked       url.Values // the parameters as they came; nil: they are Params
}

// query is the request as it came, encoded.
func (req *AuthorizationRequest) query() string {
	if req.asked != nil {
		return req.asked.Encode()
	}
	return req.Params.Encode()
}

const maxParam = 4096 // bytes of one parameter

// ParseAuthorization judges an authorization request: client, redirect URI and
// everything else, in this order. If it returns an error together with a
// request, client and redirect URI were proven and the error may be sent there
// (see [AuthorizationRequest.ResponseURL]); without a request it must be shown
// to the person and never redirected (OAuth 2.1 §4.1.2.1). It signs nobody in
// and stores nothing.
func (p *Provider) ParseAuthorization(ctx context.Context, params url.Values) (*AuthorizationRequest, error) {
	req, err := p.parseAuthorization(ctx, params)
	if err != nil {
		return req, p.refused(ctx, Event{ClientID: loggable(params.Get("client_id")), Detail: "authorize"}, err)
	}
	return req, nil
}

func (p *Provider) parseAuthorization(ctx context.Context, params url.Values) (*AuthorizationRequest, error) {
	var asked url.Values
	if len(p.reg.onRequest) > 0 {
		asked = make(url.Values, len(params))
		for name, values := range params {
			asked[name] = slices.Clone(values)
		}
	}
	for _, rewrite := range p.reg.onRequest {
		var err error
		if params, err = rewrite(ctx, params); err != nil {
			return nil, err
		}
	}
	params, hygiene := cleanParams(params)
	req := &AuthorizationRequest{Params: params, MaxAge: -1, asked: asked}
	if err := p.parseTarget(ctx, req, hygiene); err != nil {
		return nil, err
	}
	if err := p.parseRest(req, hygiene); err != nil {
		return req, err
	}
	for _, veto := range p.reg.onAuthorize {
		if err := veto(ctx, req); err != nil {
			return req, err
		}
	}
	req.id = newTokenID()
	return req, nil
}

// cleanParams drops empty values, which count as absent (OAuth 2.1 §3.1), and
// names the parameters that nothing can be read from.
func cleanParams(params url.Values) (url.Values, map[string]*Error) {
	out := make(url.Values, len(params))
	var bad map[string]*Error
	refuse := func(name, why string) {
		if bad == nil {
			bad = map[string]*Error{}
		}
		bad[name] = errorf(ErrInvalidRequest, "%s", why).because("%s", paramName(name))
	}
	for name, values := range params {
		if slices.Contains(values, "") {
			values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
		}
		if len(values) == 0 {
			continue
		}
		if len(values) > 1 && name != "resource" {
			refuse(name, "a parameter is repeated")
		}
		for _, v := range values {
			if len(v) > maxParam || !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
				refuse(name, "a parameter is too long or not UTF-8 text")
			}
		}
		out[name] = values
	}
	return out, bad
}

// parseTarget proves client and redirect URI. Until then nothing is redirected,
// whatever else is wrong.
func (p *Provider) parseTarget(ctx context.Context, req *AuthorizationRequest, bad map[string]*Error) error {
	for _, name := range []string{"client_id", "redirect_uri", "state", "response_mode"} {
		if bad[name] != nil {
			return errorf(ErrInvalidRequest, "%s is repeated, too long or not text", name)
		}
	}
	id := req.Params.Get("client_id")
	if id == "" {
		return errorf(ErrInvalidRequest, "client_id is missing")
	}
	client, err := p.findClient(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return errorf(ErrInvalidClient, "this application is not known here").because("%w", unknownClient(err))
	}
	if err != nil {
		return outage("client", err)
	}
	if client.Disabled {
		return errorf(ErrInvalidClient, "this application is not known here").because("client is disabled")
	}
	req.Client = client
	uri := req.Params.Get("redirect_uri")
	switch {
	case uri != "":
		req.redirectSet = true
		u, ok := matchRedirectURI(client.RedirectURIs, uri)
		if !ok {
			return errorf(ErrInvalidRequest, "redirect_uri is not registered for this client").because("Client.RedirectURIs has %s", quote(strings.Join(client.RedirectURIs, " ")))
		}
		if _, _, loopback := cutLoopback(uri); loopback && client.ApplicationType == applicationWeb {
			return errorf(ErrInvalidRequest, "redirect_uri is a loopback address of a web client")
		}
		req.RedirectURI = u
	case len(client.RedirectURIs) == 1 && !slices.Contains(strings.Split(req.Params.Get("scope"), " "), "openid"):
		req.RedirectURI = RedirectURI{client.RedirectURIs[0]}
	default:
		return errorf(ErrInvalidRequest, "redirect_uri is missing")
	}
	req.State = req.Params.Get("state")
	return nil
}

func (p *Provider) parseRest(req *AuthorizationRequest, bad map[string]*Error) error {
	get := req.Params.Get
	mode := get("response_mode")
	if mode == "" {
		mode = "query"
	}
	if _, ok := p.reg.modes[mode]; !ok {
		return errorf(ErrInvalidRequest, "response_mode is not supported")
	}
	req.ResponseMode = mode
	for _, name := range slices.Sorted(mapKeys(bad)) {
		return bad[name]
	}
	switch {
	case get("response_type") == "":
		return errorf(ErrInvalidRequest, "response_type is missing")
	case get("response_type") != "code":
		return errorf(ErrUnsupportedResponseType, "response_type must be code")
	case !slices.Contains(req.Client.ResponseTypes, "code") || !slices.Contains(req.Client.GrantTypes, grantAuthorizationCode):
		return errorf(ErrUnauthorizedClient, "this client may not use the authorization code grant")
	}
	required := req.Client.Public || !p.cfg.Policy.PKCEForPublicOnly
	req.challenge = get("code_challenge")
	if err := checkChallenge(req.challenge, get("code_challenge_method"), required); err != nil {
		return err
	}
	resources, e := p.requestResources(req.Client, req.Params["resource"])
	if e != nil {
		return e
	}
	scopes, e := parseScope(get("scope"))
	if e != nil {
		return e
	}
	if req.Scopes, e = p.requestScopes(req.Client, scopes, resources); e != nil {
		return e
	}
	req.Resources, req.Nonce = resources, get("nonce")
	return parsePrompt(req)
}

func parsePrompt(req *AuthorizationRequest) error {
	for _, v := range strings.Fields(req.Params.Get("prompt")) {
		if !slices.Contains([]string{"none", "login", "consent", "select_account"}, v) {
			return errorf(ErrInvalidRequest, "prompt must be none, login, consent or select_account")
		}
		req.Prompt = append(req.Prompt, v)
	}
	if len(req.Prompt) > 1 && slices.Contains(req.Prompt, "none") {
		return errorf(ErrInvalidRequest, "prompt none cannot be combined")
	}
	if s := req.Params.Get("max_age"); s != "" {
		n, err := strconv.ParseUint(s, 10, 31)
		if err != nil {
			return errorf(ErrInvalidRequest, "max_age must be a number of seconds")
		}
		req.MaxAge = int(n)
	}
	return nil
}

// needsLogin judges the session against prompt and max_age. signInAfter is the
// moment that prompt=login was first seen, if the browser comes back from there.
func (p *Provider) needsLogin(req *AuthorizationRequest) bool {
	s := req.Session
	switch {
	case s.Subject == "":
		return true
	case slices.Contains(req.Prompt, "login") || slices.Contains(req.Prompt, "select_account"):
		if req.signInAfter.IsZero() {
			return true
		}
		return !s.AuthTime.IsZero() && s.AuthTime.Before(req.signInAfter)
	case req.MaxAge >= 0:
		if !req.signInAfter.IsZero() && !s.AuthTime.Before(req.signInAfter) {
			return false // just signed in: max_age=0 must end
		}
		return s.AuthTime.IsZero() || now().Sub(s.AuthTime) > time.Duration(req.MaxAge)*time.Second
	}
	return false
}

// needsConsent decides whether the user must be asked. covered is true if the
// answer rests on a stored consent, which the exchange then reads again.
func (p *Provider) needsConsent(ctx context.Context, req *AuthorizationRequest) (needed, covered bool, err error) {
	asked := slices.Contains(req.Prompt, "consent")
	if !asked && req.Client.Trust == store.TrustRegistered {
		if req.Client.FirstParty {
			return false, false, nil
		}
		if p.cfg.SkipConsent != nil {
			skip, err := p.cfg.SkipConsent(ctx, req)
			if err != nil {
				return false, false, outage("SkipConsent", err)
			}
			if skip {
				return false, false, nil
			}
		}
	}
	// A stranger's program that cannot be told from another one is asked for every
	// time.
	if asked || req.Client.Trust != store.TrustRegistered && !req.RedirectURI.provesClient() {
		return true, false, nil
	}
	covered, err = p.consentCovers(ctx, req.Client, req.Session.Subject, req.Scopes, req.Resources)
	return !covered, covered, err
}

// Approval is a user's yes to an authorization request.
type Approval struct {
	Session Session  // who said it
	Scopes  []string // of the request's, what was said yes to; nil: all
}

// CreateAuthorizationCode approves a request that [Provider.ParseAuthorization]
// returned, and returns the code for it: the user's consent is stored, unless
// the client needs none, then the authorization, pending, then the code. A
// request can be approved once. Most apps need not call this: the authorization
// endpoint does. ErrAccessDenied: nobody is signed in, or nothing was granted.
func (p *Provider) CreateAuthorizationCode(ctx context.Context, req *AuthorizationRequest, a Approval) (string, error) {
	remember := req.Client.Trust != store.TrustRegistered || !req.Client.FirstParty
	return p.createCode(ctx, req, a, remember, remember)
}

// createCode stores an approval. Order matters: see ARCHITECTURE.md. The record
// comes first, so that any later revocation finds it; its ID is the request's,
// so that a request approved twice fails; the code, which makes it usable, comes
// last.
func (p *Provider) createCode(ctx context.Context, req *AuthorizationRequest, a Approval, remember, consented bool) (string, error) {
	scopes := req.Scopes
	if a.Scopes != nil {
		scopes = intersect(req.Scopes, a.Scopes)
	}
	switch {
	case a.Session.Subject == "":
		return "", errorf(ErrAccessDenied, "nobody is signed in")
	case a.Session.Subject == req.Client.ID:
		return "", subjectIsClient(req.Client)
	case len(scopes) == 0 && len(req.Scopes) > 0:
		return "", errorf(ErrAccessDenied, "nothing was granted")
	case !store.ValidKey(a.Session.Subject, store.MaxSubject):
		return "", errorf(ErrServerError, "the user's ID cannot be stored").because("Session.Subject must be 1 to %d bytes of UTF-8", store.MaxSubject)
	}
	if req.id == "" {
		return "", errorf(ErrServerError, "the request was not made by ParseAuthorization")
	}
	at := now()
	expires := at.Add(p.cfg.Policy.CodeLifetime)
	grant := grantData{AuthTime: unixTime(a.Session.AuthTime), ACR: a.Session.ACR, AMR: a.Session.AMR, SID: a.Session.ID, Nonce: req.Nonce}
	record := store.Token{
		ID: req.id, ClientID: req.Client.ID, Subject: a.Session.Subject, State: store.TokenPending,
		Scopes: scopes, Resources: req.Resources, Data: grant.encode(),
		CreatedAt: at, ExpiresAt: expires, PurgeAt: expires.Add(codeMemory),
	}
	err := p.cfg.Store.CreateToken(ctx, record)
	if errors.Is(err, store.ErrExists) {
		return "", errorf(ErrInvalidRequest, "this request was answered before").because("%w", err)
	}
	if err != nil {
		return "", outage("create authorization", err)
	}
	if remember {
		if err := p.grantConsent(ctx, req.Client, record.Subject, scopes, req.Resources); err != nil {
			return "", err
		}
	}
	code := randomText(32)
	payload := codePayload{Token: record, RedirectURI: req.RedirectURI.uri, RedirectSet: req.redirectSet, Challenge: req.challenge, Consented: consented}
	if err := p.storeCode(ctx, code, payload); err != nil {
		return "", err
	}
	p.emit(ctx, Event{Kind: EventCodeIssued, ClientID: record.ClientID, Subject: record.Subject, TokenID: record.ID, Scopes: scopes})
	return code, nil
}

// subjectIsClient refuses a user whom a resource could not tell from a client
// that acts for itself (RFC 9068 §5).
func subjectIsClient(c *Client) *Error {
	return errorf(ErrServerError, "a user has the ID of a client").because("subject %q: RFC 9068, section 5", loggable(c.ID))
}

// newTokenID names an authorization. Version 7 keeps the rows of one time
// together in a database's index; it is a name, not a secret.
func newTokenID() string { return uuid.Must(uuid.NewV7()).String() }

// ResponseURL returns where to send the browser with a code, or with the error
// that a request was refused with: the redirect URI with code or error, state
// and iss (RFC 9207). Exactly one of code and err is given.
func (p *Provider) ResponseURL(req *AuthorizationRequest, code string, err error) string {
	return req.RedirectURI.with(p.responseParams(req, code, err))
}

func (p *Provider) responseParams(req *AuthorizationRequest, code string, err error) url.Values {
	v := url.Values{"iss": {p.cfg.Issuer}}
	if req.State != "" {
		v.Set("state", req.State)
	}
	if err == nil {
		v.Set("code", code)
		return v
	}
	e := asError(err)
	v.Set("error", string(e.Code))
	if e.Description != "" {
		v.Set("error_description", e.Description)
	}
	if e.URI != "" {
		v.Set("error_uri", e.URI)
	}
	return v
}
