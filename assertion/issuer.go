package assertion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed-e797c9ce/oauth/internal/fetch"
	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/internal/strictjson"
)

// Issuer is somebody whose signature on an assertion is believed.
type Issuer struct {
	// URL is the issuer's name, the iss of its assertions, compared byte for byte.
	URL string

	// JWKS holds its public keys (RFC 7517 §5); JWKSURI, an https URL, is where
	// they are fetched. Without either they are found through the issuer's
	// metadata, for which URL must be https (OpenID Connect Discovery §4, RFC 8414
	// §3). What was fetched is used for 10 minutes, and for an hour longer while
	// it cannot be fetched again.
	JWKS    []byte
	JWKSURI string

	// Algs are the algorithms that it may sign with. Nil: RS256, PS256, ES256,
	// ES384 and EdDSA; other ones there are not.
	Algs []string

	// MaxLifetime is the most that an assertion may be good for, from its iat to
	// its exp; its jti is remembered until then. 1 hour.
	MaxLifetime time.Duration

	// HTTPClient fetches this issuer's keys, if it is not on the public internet,
	// for example. Nil: as Config.HTTPClient says.
	HTTPClient *http.Client
}

const (
	longest     = 366 * 24 * time.Hour // that any MaxLifetime may be
	maxURL      = 2048
	maxMetadata = 64 << 10
	staleFor    = time.Hour // how much longer the keys of an issuer are used while it does not answer
)

var issuerAlgs = []string{jose.RS256, jose.PS256, jose.ES256, jose.ES384, jose.EdDSA}

// withDefaults returns a copy that nobody else changes.
func (i Issuer) withDefaults(general *http.Client) Issuer {
	i.JWKS, i.Algs = slices.Clone(i.JWKS), slices.Clone(i.Algs)
	if i.Algs == nil {
		i.Algs = issuerAlgs
	}
	if i.MaxLifetime == 0 {
		i.MaxLifetime = time.Hour
	}
	if i.HTTPClient == nil {
		i.HTTPClient = general
	}
	return i
}

// check returns what is wrong with an issuer; own is the provider's.
func (i *Issuer) check(own string) error {
	u, err := url.Parse(i.URL)
	https := err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
	switch {
	case i.URL == "" || len(i.URL) > maxURL:
		return fmt.Errorf("its URL must have 1 to %d bytes", maxURL)
	case i.URL == own:
		// Whoever got a token here would get another one for it.
		return errors.New("its URL is this provider itself")
	case len(i.JWKS) > 0 && i.JWKSURI != "":
		return errors.New("it has JWKS and JWKSURI: one of them says it")
	case i.JWKSURI != "" && !strings.HasPrefix(i.JWKSURI, "https://"):
		return errors.New("its JWKSURI must be https")
	case len(i.JWKS) == 0 && i.JWKSURI == "" && !https:
		return errors.New("its URL must be https, without query, or its JWKS or JWKSURI be given")
	case len(i.Algs) == 0 || slices.ContainsFunc(i.Algs, func(alg string) bool { return !slices.Contains(issuerAlgs, alg) }):
		return fmt.Errorf("its Algs must be among %s", strings.Join(issuerAlgs, ", "))
	case i.MaxLifetime < 0 || i.MaxLifetime > longest:
		return fmt.Errorf("its MaxLifetime must not be negative, nor over %s", longest)
	}
	return nil
}

// issuer is an Issuer at work. Its keys are its own: what another one signs is
// never verified with them, whatever kid it names.
type issuer struct {
	Issuer
	ring *ring   // from JWKS
	keys *keySet // without
}

func newIssuer(i Issuer) (*issuer, error) {
	out := &issuer{Issuer: i}
	if len(i.JWKS) == 0 {
		out.keys = newKeySet(out.fetch, staleFor)
		return out, nil
	}
	var err error
	if out.ring, err = newRing(i.JWKS); err != nil {
		return nil, fmt.Errorf("its JWKS: %w", err)
	}
	if out.ring.keys.Len() == 0 {
		return nil, errors.New("its JWKS has no key that can be used")
	}
	return out, nil
}

// verify checks that the issuer signed the token and returns the claims.
func (i *issuer) verify(ctx context.Context, t *jose.Token) ([]byte, error) {
	if !slices.Contains(i.Algs, t.Alg) {
		return nil, refuseGrant("its alg is not one of the issuer's")
	}
	var body []byte
	var err error
	if i.keys == nil {
		body, err = i.ring.verify(t)
	} else {
		body, err = i.keys.verify(ctx, t)
	}
	switch {
	case errors.Is(err, jose.ErrUnknownKey), errors.Is(err, jose.ErrSignature):
		return nil, refuseGrant("%w", err)
	case err != nil: // not the client's fault: it may try again
		return nil, fmt.Errorf("assertion: keys of %s: %w", i.URL, err)
	}
	return body, nil
}

func (i *issuer) fetch(ctx context.Context) ([]byte, error) {
	uri := i.JWKSURI
	if uri == "" {
		var err error
		if uri, err = i.discover(ctx); err != nil {
			return nil, err
		}
	}
	body, _, err := fetch.Get(ctx, i.HTTPClient, uri, maxJWKS)
	return body, err
}

// discover finds the issuer's keys through its metadata: where OpenID Connect
// Discovery §4 puts them, and if they are not there, where RFC 8414 §3 does.
func (i *issuer) discover(ctx context.Context) (jwksURI string, err error) {
	u, err := url.Parse(i.URL)
	if err != nil {
		return "", err
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	origin := u.Scheme + "://" + u.Host
	body, _, err := fetch.Get(ctx, i.HTTPClient, origin+path+"/.well-known/openid-configuration", maxMetadata)
	if errors.Is(err, fetch.ErrAnswer) {
		body, _, err = fetch.Get(ctx, i.HTTPClient, origin+"/.well-known/oauth-authorization-server"+path, maxMetadata)
	}
	if err != nil {
		return "", err
	}
	var m struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := strictjson.Unmarshal(body, &m); err != nil {
		return "", fmt.Errorf("metadata: %w", err)
	}
	if m.Issuer != i.URL { // RFC 8414 §3.3: or it speaks for somebody else
		return "", errors.New("metadata: they are another issuer's")
	}
	return m.JWKSURI, nil
}

// audience returns the one audience of an assertion: a string, or a list of one.
// One that is good elsewhere, too, could come from there.
func audience(raw json.RawMessage) string {
	if s, ok := strictjson.String(raw); ok {
		return s
	}
	var list []string
	if json.Unmarshal(raw, &list) != nil || len(list) != 1 {
		return ""
	}
	return list[0]
}
