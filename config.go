package oauth

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/seed-e797c9ce/oauth/store"
)

// Config is everything that a host app decides. Issuer, Store and Session are
// required, and LoginURL or Interact; the zero value of every other field is
// the safe choice. New checks it whole and keeps a copy: later changes have no
// effect.
type Config struct {
	// Issuer is the URL that names this provider (RFC 8414 §2): https, or http
	// on a loopback address; no trailing slash, query or fragment. It appears
	// byte for byte in metadata, responses and tokens, and is never taken from
	// a request.
	Issuer string

	// Prefix is the path, below the issuer's, that the endpoints live under.
	// Empty: "/oauth". "/": directly below the issuer, as clients of MCP
	// 2025-03-26 assume.
	Prefix string

	// Store keeps what this issuer has granted, and no other's: two providers with
	// different issuers would honour each other's codes and refresh tokens. Within
	// one database give each a schema or prefix of its own.
	Store store.Store

	// Session says who is signed in to the app in this browser. A Session
	// without Subject means nobody. An error is an outage. If it reads a cookie,
	// that has to be SameSite=Lax: a Strict one does not come along when another
	// site sends the browser here, and its users have to sign in each time.
	Session func(r *http.Request) (Session, error)

	// LoginURL is where a browser goes that has no session: a path of the app
	// or a URL. It gets the parameter return_to, where to send the browser
	// afterwards: a path if LoginURL is one, else a URL of the issuer. Follow it
	// only if it begins with the provider's own path, such as /oauth/: anybody can
	// make a link to your sign-in page that ends elsewhere. A page whose
	// Content-Security-Policy has form-action must allow the clients' addresses in
	// it: browsers apply it to the redirects that follow the form.
	LoginURL string

	// Interact replaces LoginURL and the built-in consent page. It is called
	// when a person is needed, and answers the request with a page of its own:
	// if req.NeedsConsent one that ends in [Provider.Approve] or [Provider.Deny],
	// else a sign-in page that ends at req.ResumeURL. A page for prompt=login must
	// not send somebody back who is signed in already. The answer has a
	// Content-Security-Policy that loads nothing, styles included: set the page's
	// own, with frame-ancestors 'none'. See the example of [Provider.Approve].
	Interact func(w http.ResponseWriter, r *http.Request, req *AuthorizationRequest)

	// SkipConsent decides, for clients of TrustRegistered only, that a request
	// needs no consent. Nil: only clients marked FirstParty need none.
	SkipConsent func(ctx context.Context, req *AuthorizationRequest) (bool, error)

	// Templates hold "consent" (executed with a [ConsentPage]), "error" (executed
	// with an [ErrorPage]), or both, in place of the built-in pages. These are the
	// names of the templates, which ParseFiles takes from the files: use define.
	// New tries them, and says what is wrong. See the example of [ConsentPage].
	Templates *template.Template

	// Users says whether a subject is still active and what its access tokens
	// say about it. It is asked at every exchange, refresh and introspection.
	// Nil: every subject is active and has no claims. An error is an outage; a
	// user who is gone is not an error but not Active.
	Users func(ctx context.Context, subject string) (User, error)

	Scopes    map[string]string // every scope there is, with a line for the consent page
	Resources []Resource        // what tokens are for (RFC 8707); the first is the default. Empty: the issuer itself

	// Keys sign and verify access tokens. Nil: managed keys, which New makes,
	// keeps in Store sealed under Secret, and rotates (see Policy.KeyLifetime).
	Keys KeySource

	// Secret, of at least 32 random bytes, seals managed keys and pending
	// requests. It is taken as it is: the text that "openssl rand -base64 32"
	// prints will do, and need not be decoded. All instances of one provider share
	// it. Nil: random; then keys live in this process only and end with it, which
	// is logged.
	Secret []byte

	// RetiredSecrets still open what they sealed, while Secret is being changed.
	// Keys in the store are sealed anew as soon as an instance has the new Secret,
	// so where several run: first add the new secret here, everywhere; then make
	// it Secret and put the old one here; then drop the old one.
	RetiredSecrets [][]byte

	Policy     Policy
	Extensions []Extension // one per further specification, or a profile's list

	// OnEvent is told what happened, after it happened, in the goroutine it
	// happened in. It can veto nothing.
	OnEvent func(ctx context.Context, e Event)

	// Observe is told of every request to an endpoint, for metrics and traces. It
	// is called with the request's context and the endpoint's name, such as "token",
	// "authorize" or "metadata", and returns the context that the request goes on
	// with and a function that is called when it is over: outcome is "ok" or an
	// error code, also of an error that was redirected, and status the HTTP status.
	// The names are few and never a client's. Nil: nothing is measured, and it costs
	// nothing. The module oauth/otel has one for OpenTelemetry.
	Observe func(ctx context.Context, endpoint string) (context.Context, func(outcome string, status int))

	// Logger gets what an operator should read. Nil: slog.Default().
	Logger *slog.Logger
}

// Policy holds what differs between deployments. Every zero value is the
// default that the field names; durations are of a second at least.
type Policy struct {
	CodeLifetime         time.Duration // 10 minutes, which is also the most (RFC 6749 §4.1.2)
	AccessTokenLifetime  time.Duration // 1 hour
	RefreshTokenLifetime time.Duration // 30 days, from each refresh on
	MaxLifetime          time.Duration // of an authorization with its access tokens, however often it is refreshed; 0: unlimited
	RefreshGrace         time.Duration // 30 seconds: how long a retried refresh gets the same answer; NoGrace: not at all
	Keep                 time.Duration // 7 days: how long ended authorizations are kept, to recognise replay
	InteractionLifetime  time.Duration // 10 minutes: how long a consent page stays valid

	// PKCEForPublicOnly lets confidential clients do without PKCE, as OpenID
	// Connect certification demands. Default: every client needs it.
	PKCEForPublicOnly bool

	// NoRotation keeps the refresh tokens of confidential clients until they
	// expire, as FAPI 2.0 §5.3.2.1 wants. Those of public clients always rotate
	// (OAuth 2.1 §4.3.1).
	NoRotation bool

	// PrivateUseSchemes are URI schemes without a dot that redirect URIs of
	// native clients may have (such as "cursor"), against the advice of RFC
	// 8252 §7.1; and those, with or without a dot, that clients may have which
	// nobody registered. Default: none.
	PrivateUseSchemes []string

	SigningAlg  string        // of managed keys: ES256 (default), ES384, EdDSA, RS256, PS256
	KeyLifetime time.Duration // 90 days: how long a managed key signs
	BcryptCost  int           // 10: of the hashes of client secrets
}

// NoGrace is the RefreshGrace that treats every second use of a refresh token
// as replay, a retry after a lost response included.
const NoGrace time.Duration = -1

// Session is a browser's sign-in to the app.
type Session struct {
	Subject  string    // the user's ID: stable, never reassigned; empty: nobody is signed in
	AuthTime time.Time // when the user signed in; needed to honour prompt=login and max_age
	ACR      string    // how (OpenID Connect Core §2), if known
	AMR      []string
	ID       string // of the session, if it has one: a consent page is bound to it
}

// User is what the app knows of a subject.
type User struct {
	Active   bool
	Username string         // for introspection (RFC 7662 §2.2)
	Claims   map[string]any // added to access tokens; registered claims cannot be overridden
}

// Resource is an API that tokens are for (RFC 8707).
type Resource struct {
	URI    string   // exactly as clients know it: absolute, without fragment
	Scopes []string // those of Config.Scopes that mean something there; empty: all

	// Introspectors are the IDs of the confidential clients that may introspect
	// tokens for this resource: the API's own servers.
	Introspectors []string
}

func (c *Config) setDefaults() {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	p := &c.Policy
	set(&p.CodeLifetime, 10*time.Minute)
	set(&p.AccessTokenLifetime, time.Hour)
	set(&p.RefreshTokenLifetime, 30*24*time.Hour)
	set(&p.RefreshGrace, 30*time.Second)
	set(&p.Keep, 7*24*time.Hour)
	set(&p.InteractionLifetime, 10*time.Minute)
	set(&p.KeyLifetime, 90*24*time.Hour)
	if p.RefreshGrace == NoGrace {
		p.RefreshGrace = 0
	}
	if p.SigningAlg == "" {
		p.SigningAlg = "ES256"
	}
	if p.BcryptCost == 0 {
		p.BcryptCost = bcrypt.DefaultCost
	}
	if c.Prefix == "" {
		c.Prefix = "/oauth"
	}
	c.Prefix = strings.TrimSuffix(c.Prefix, "/")
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
}

const minSecret = 32 // bytes of a Secret

// check finds everything that is wrong with the configuration.
func (c *Config) check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("oauth: "+format, args...)) }
	if err := checkIssuer(c.Issuer); err != nil {
		errs = append(errs, err)
	}
	if c.Store == nil {
		wrong("Config.Store is required; store.NewMemory() is enough to try things out")
	}
	if c.Session == nil {
		wrong("Config.Session is required: it says which user is signed in")
	}
	if c.LoginURL == "" && c.Interact == nil {
		wrong("Config.LoginURL or Config.Interact is required: it is where people sign in")
	}
	if u, err := url.Parse(c.LoginURL); err != nil || strings.HasPrefix(c.LoginURL, "//") || c.LoginURL != "" && !strings.HasPrefix(c.LoginURL, "/") && (u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		wrong("Config.LoginURL must be a path, such as /login, or an https URL")
	} else if u.Scheme == "http" && !loopbackHost(u.Hostname()) && strings.HasPrefix(c.Issuer, "https:") {
		wrong("Config.LoginURL must be https, as Issuer is, or on a loopback address: people type passwords there")
	}
	if c.Prefix != "" && !plainPath(c.Prefix) {
		wrong("Config.Prefix must be a plain path that begins with a slash, without escapes, empty or dot segments (RFC 3986, section 3.3)")
	}
	for _, name := range slices.Sorted(mapKeys(c.Scopes)) {
		if !validScopeName(name) {
			wrong("Config.Scopes: %q is not a scope name (RFC 6749, section 3.3)", name)
		}
	}
	if c.Secret != nil && len(c.Secret) < minSecret {
		wrong("Config.Secret has %d bytes and must have at least %d random ones, such as those of: openssl rand -base64 32", len(c.Secret), minSecret)
	}
	for i, s := range c.RetiredSecrets {
		if len(s) < minSecret {
			wrong("Config.RetiredSecrets[%d] has %d bytes; a secret has at least %d", i, len(s), minSecret)
		}
	}
	if c.Secret == nil && c.RetiredSecrets != nil {
		wrong("Config.RetiredSecrets without Config.Secret")
	}
	c.checkResources(wrong)
	c.checkPolicy(wrong)
	return errors.Join(errs...)
}

func (c *Config) checkResources(wrong func(string, ...any)) {
	seen := map[string]bool{}
	for i, r := range c.Resources {
		canonical, ok := canonicalResource(r.URI)
		if !ok {
			wrong("Config.Resources[%d]: URI must be absolute and without fragment (RFC 8707, section 2)", i)
		}
		if seen[canonical] {
			wrong("Config.Resources[%d]: a resource stands there twice", i)
		}
		seen[canonical] = true
		for _, s := range r.Scopes {
			if _, ok := c.Scopes[s]; !ok {
				wrong("Config.Resources[%d]: scope %q is not in Config.Scopes", i, s)
			}
		}
	}
}

func (c *Config) checkPolicy(wrong func(string, ...any)) {
	p := c.Policy
	for _, d := range []time.Duration{p.CodeLifetime, p.AccessTokenLifetime, p.RefreshTokenLifetime, p.MaxLifetime, p.RefreshGrace, p.Keep, p.InteractionLifetime, p.KeyLifetime} {
		if d < 0 {
			wrong("Config.Policy: a lifetime is negative")
			break
		}
		if d > 0 && d < time.Second {
			wrong("Config.Policy: a lifetime is %v, less than a second: give it a unit, as in time.Hour", d)
			break
		}
	}
	if p.CodeLifetime > 10*time.Minute {
		wrong("Config.Policy.CodeLifetime: 10 minutes is the most (RFC 6749, section 4.1.2)")
	}
	if p.Keep < p.AccessTokenLifetime {
		wrong("Config.Policy.Keep must not be shorter than AccessTokenLifetime: a revocation would be forgotten before the tokens it ended")
	}
	if p.KeyLifetime < 2*keyLead {
		wrong("Config.Policy.KeyLifetime must be at least %v", 2*keyLead)
	}
	if p.BcryptCost < bcrypt.MinCost || p.BcryptCost > maxBcryptCost {
		wrong("Config.Policy.BcryptCost must be between %d and %d", bcrypt.MinCost, maxBcryptCost)
	}
	if !slices.Contains([]string{"ES256", "ES384", "EdDSA", "RS256", "PS256"}, p.SigningAlg) {
		wrong("Config.Policy.SigningAlg must be ES256, ES384, EdDSA, RS256 or PS256, not %q", p.SigningAlg)
	}
	for _, s := range p.PrivateUseSchemes {
		if !validScheme(s) || slices.Contains([]string{"http", "https", "javascript", "data", "vbscript", "file", "blob", "about", "view-source", "intent"}, s) {
			wrong("Config.Policy.PrivateUseSchemes: %q cannot be allowed", s)
		}
	}
}

func validScheme(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return s != ""
}

func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case issuer == "":
		return errors.New("oauth: Config.Issuer is required: the public URL of this server, such as https://example.com")
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("oauth: Config.Issuer must be an https URL, such as https://example.com, or to try things out http://localhost:8080")
	case u.Scheme == "http" && !loopbackHost(u.Hostname()):
		return errors.New("oauth: Config.Issuer must be https; http is for loopback addresses, such as http://localhost:8080 (OAuth 2.1, section 1.5)")
	case strings.HasSuffix(issuer, "/"):
		return errors.New("oauth: Config.Issuer must not end with a slash: clients compare it byte for byte")
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.ContainsAny(issuer, "?#"):
		return errors.New("oauth: Config.Issuer must have no query, fragment or user (RFC 8414, section 2)")
	case strings.ToLower(u.Host) != u.Host || !plainAuthority(u.Host) || u.Path != "" && !plainPath(u.Path) || u.Scheme+"://"+u.Host+u.Path != issuer:
		return errors.New("oauth: Config.Issuer must be written plainly: host in lower case and ASCII, path without escapes, empty or dot segments")
	}
	return nil
}

// plainPath reports whether a path is a URI's (RFC 3986 §3.3) and has one spelling
// only: nothing is escaped, and there is nothing that a mux or a client cleans up.
func plainPath(path string) bool {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return false
	}
	for segment := range strings.SplitSeq(rest, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
		for i := 0; i < len(segment); i++ {
			if !isUnreserved(segment[i:i+1]) && strings.IndexByte("!$&'()*+,;=:@", segment[i]) < 0 {
				return false
			}
		}
	}
	return true
}

func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
