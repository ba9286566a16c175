package cimd

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/internal/strictjson"
	"github.com/seed-e797c9ce/oauth/store"
)

// errDocument is wrapped by errors about a document that is not to be believed.
var errDocument = errors.New("the client metadata document is not acceptable")

// document is what is read of a document (§4.1 of the draft; RFC 7591 §2). What
// vendors add is ignored.
type document struct {
	ClientID        string          `json:"client_id"`
	Name            string          `json:"client_name"`
	RedirectURIs    []string        `json:"redirect_uris"`
	AuthMethod      string          `json:"token_endpoint_auth_method"`
	AuthMethods     []string        `json:"token_endpoint_auth_methods_supported"` // OpenID Connect RP Metadata Choices
	GrantTypes      []string        `json:"grant_types"`
	ApplicationType string          `json:"application_type"`
	Scope           string          `json:"scope"`
	URI             string          `json:"client_uri"`
	LogoURI         string          `json:"logo_uri"`
	PolicyURI       string          `json:"policy_uri"`
	TOSURI          string          `json:"tos_uri"`
	Contacts        []string        `json:"contacts"`
	JWKS            json.RawMessage `json:"jwks"`
	JWKSURI         string          `json:"jwks_uri"`
	Secret          json.RawMessage `json:"client_secret"`
	SecretExpires   json.RawMessage `json:"client_secret_expires_at"`
}

const (
	maxRedirectURIs = 50
	maxName         = 200
	maxKeys         = 20

	authNone       = "none"
	authPrivateKey = "private_key_jwt"

	grantAssertion = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	profileIDJAG   = "urn:ietf:params:oauth:grant-profile:id-jag"
)

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errDocument}, args...)...)
}

// parse makes the client of a document. early: the provider is being built, and
// cannot say yet how its clients authenticate.
func (s *source) parse(id string, body []byte, early bool) (*oauth.Client, error) {
	var d document
	if err := strictjson.Unmarshal(body, &d); err != nil {
		return nil, refuse("%w", err)
	}
	switch {
	case d.ClientID != id:
		return nil, refuse("its client_id is not its URL")
	case d.Name == "" || len(d.Name) > maxName || strings.ContainsRune(d.Name, 0):
		return nil, refuse("client_name must have 1 to %d bytes", maxName)
	case len(d.RedirectURIs) > maxRedirectURIs || len(d.Contacts) > maxRedirectURIs:
		return nil, refuse("more than %d redirect URIs or contacts", maxRedirectURIs)
	case len(d.Secret) > 0 || len(d.SecretExpires) > 0:
		return nil, refuse("it has a secret")
	}
	c := &oauth.Client{
		ID: id, Name: d.Name, Version: 1, Trust: store.TrustDocument, ApplicationType: d.ApplicationType,
		ResponseTypes: []string{"code"}, Scopes: s.cfg.Scopes,
		URI: link(d.URI), LogoURI: link(d.LogoURI), PolicyURI: link(d.PolicyURI), TOSURI: link(d.TOSURI), Contacts: d.Contacts,
	}
	c.DefaultScopes = s.reg.DefaultScopes(d.Scope, s.cfg.Scopes)
	for _, grant := range []string{"authorization_code", "refresh_token"} {
		if len(d.GrantTypes) == 0 || slices.Contains(d.GrantTypes, grant) {
			c.GrantTypes = append(c.GrantTypes, grant)
		}
	}
	if slices.Contains(d.GrantTypes, grantAssertion) && s.has("grant_types_supported", grantAssertion) {
		c.GrantTypes = append(c.GrantTypes, grantAssertion)
	}
	if err := s.redirectURIs(&d, c); err != nil {
		return nil, err
	}
	if err := s.checkKeys(&d); err != nil {
		return nil, err
	}
	method, err := d.authMethod(early || s.has("token_endpoint_auth_methods_supported", authPrivateKey))
	if err != nil {
		return nil, err
	}
	if c.AuthMethod, c.Public = method, method == authNone; method == authPrivateKey {
		c.JWKS, c.JWKSURI = d.JWKS, d.JWKSURI
	}
	return c, nil
}

// redirectURIs keeps the addresses that the client may be answered at; the
// others are refused when they are used.
func (s *source) redirectURIs(d *document, c *oauth.Client) error {
	if c.ApplicationType == "" {
		c.ApplicationType = "web"
		if slices.ContainsFunc(d.RedirectURIs, func(uri string) bool { return !strings.HasPrefix(uri, "https://") }) {
			c.ApplicationType = "native"
		}
	}
	if c.ApplicationType != "web" && c.ApplicationType != "native" {
		return refuse("application_type must be native or web")
	}
	for _, uri := range d.RedirectURIs {
		if s.checkRedirectURI(uri, c.ApplicationType) == nil {
			c.RedirectURIs = append(c.RedirectURIs, uri)
		}
	}
	if len(c.RedirectURIs) == 0 {
		return refuse("it has no redirect URI that can be used")
	}
	return nil
}

// checkRedirectURI judges an address of a stranger's client: beside https and
// loopback only the private-use schemes that the app has named, dotted or not.
// Any program can take one (RFC 8252 §8.6).
func (s *source) checkRedirectURI(uri, applicationType string) error {
	scheme, _, _ := strings.Cut(uri, ":")
	if scheme != "https" && scheme != "http" && !slices.Contains(s.reg.Config().Policy.PrivateUseSchemes, scheme) {
		return refuse("a redirect URI must be https, or http on a loopback address")
	}
	return s.reg.CheckRedirectURI(uri, applicationType)
}

// has reports whether the provider's metadata list something.
func (s *source) has(member, value string) bool {
	list, _ := s.reg.Provider().Metadata()[member].([]string)
	return slices.Contains(list, value)
}

// authMethod chooses how the client authenticates. One that can sign does so
// where the provider can verify it: it must never come without, or anybody could
// come in its place.
func (d *document) authMethod(assertions bool) (string, error) {
	offers := d.AuthMethods
	if d.AuthMethod != "" {
		offers = []string{d.AuthMethod}
	}
	keys := len(d.JWKS) > 0 || d.JWKSURI != ""
	switch {
	case slices.ContainsFunc(offers, func(m string) bool { return strings.HasPrefix(m, "client_secret") }):
		return "", refuse("it authenticates by a secret, which cannot be in a public document")
	case slices.Contains(offers, authPrivateKey) && keys && assertions:
		return authPrivateKey, nil
	case len(offers) == 0 || slices.Contains(offers, authNone):
		return authNone, nil
	}
	return "", refuse("it authenticates in no way that is possible here")
}

func (s *source) checkKeys(d *document) error {
	if string(d.JWKS) == "null" {
		d.JWKS = nil
	}
	if d.JWKSURI != "" {
		if _, ok := s.parseID(d.JWKSURI); !ok || len(d.JWKS) > 0 {
			return refuse("jwks_uri must be a public https URL, without jwks beside it")
		}
	}
	if len(d.JWKS) == 0 {
		return nil
	}
	keys, err := jose.ParseJWKS(d.JWKS)
	if err != nil {
		return refuse("jwks: %w", err)
	}
	if len(keys) == 0 || len(keys) > maxKeys {
		return refuse("jwks must have 1 to %d signature keys", maxKeys)
	}
	return nil
}

// link keeps a link for people if it is one that may be shown.
func link(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(s) > maxID {
		return ""
	}
	return s
}
