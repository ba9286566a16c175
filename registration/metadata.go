package registration

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/internal/strictjson"
	"github.com/seed-e797c9ce/oauth/store"
)

// metadata is what a client says of itself (RFC 7591 §2; OpenID Connect
// Registration §2). Members that are not here are ignored, among them whatever
// a client might call itself trusted by.
type metadata struct {
	RedirectURIs    []string        `json:"redirect_uris"`
	AuthMethod      string          `json:"token_endpoint_auth_method"`
	GrantTypes      []string        `json:"grant_types"`
	ResponseTypes   []string        `json:"response_types"`
	Name            string          `json:"client_name"`
	URI             string          `json:"client_uri"`
	LogoURI         string          `json:"logo_uri"`
	Scope           string          `json:"scope"`
	Contacts        []string        `json:"contacts"`
	TOSURI          string          `json:"tos_uri"`
	PolicyURI       string          `json:"policy_uri"`
	JWKSURI         string          `json:"jwks_uri"`
	JWKS            json.RawMessage `json:"jwks"`
	SoftwareID      string          `json:"software_id"`
	SoftwareVersion string          `json:"software_version"`
	Statement       string          `json:"software_statement"`
	ApplicationType string          `json:"application_type"`

	// Not used, but never accepted with an address that is not public: whoever
	// adds a use for them must not find such a client.
	SectorIdentifierURI  string   `json:"sector_identifier_uri"`
	InitiateLoginURI     string   `json:"initiate_login_uri"`
	BackchannelLogoutURI string   `json:"backchannel_logout_uri"`
	RequestURIs          []string `json:"request_uris"`

	// Of updates (RFC 7592 §2.2).
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
}

const (
	maxBody         = 64 << 10
	maxRedirectURIs = 20
	maxContacts     = 10
	maxText         = 200 // bytes of a name, a contact, a software ID
	maxKeys         = 20

	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"

	authNone       = "none"
	authBasic      = "client_secret_basic"
	authPrivateKey = "private_key_jwt"
)

func invalid(description string) *oauth.Error {
	return &oauth.Error{Code: oauth.ErrInvalidClientMetadata, Description: description}
}

// parse reads a registration, with the claims of its software statement in the
// place of what it says itself.
func (g *registration) parse(ctx context.Context, body []byte) (*metadata, map[string]json.RawMessage, error) {
	var m metadata
	if err := strictjson.Unmarshal(body, &m); err != nil {
		return nil, nil, &oauth.Error{Code: oauth.ErrInvalidClientMetadata, Err: err,
			Description: "the body must be a JSON object of client metadata, each member once"}
	}
	all, err := strictjson.Object(body, strictjson.MaxDepth)
	if err != nil {
		return nil, nil, invalid("the body must be a JSON object")
	}
	if m.Statement == "" {
		return &m, all, nil
	}
	claims, err := g.statement(ctx, m.Statement)
	if err != nil {
		return nil, nil, err
	}
	id, secret := m.ClientID, m.ClientSecret
	if err := strictjson.Unmarshal(claims, &m); err != nil {
		return nil, nil, &oauth.Error{Code: ErrInvalidSoftwareStatement, Description: "the software statement has metadata of a wrong type", Err: err}
	}
	m.ClientID, m.ClientSecret = id, secret
	return &m, all, nil
}

func (g *registration) statement(ctx context.Context, jwt string) ([]byte, error) {
	if g.cfg.SoftwareStatement == nil {
		return nil, &oauth.Error{Code: ErrInvalidSoftwareStatement, Description: "software statements are not accepted here"}
	}
	claims, err := g.cfg.SoftwareStatement(ctx, jwt)
	if e := new(oauth.Error); err != nil && !errors.As(err, &e) {
		return nil, &oauth.Error{Code: ErrInvalidSoftwareStatement, Description: "the software statement is not valid", Err: err}
	}
	return claims, err
}

// apply checks the metadata and makes them the client's.
func (g *registration) apply(m *metadata, c *oauth.Client) error {
	if err := m.check(); err != nil {
		return err
	}
	if c.ApplicationType = m.ApplicationType; c.ApplicationType == "" {
		c.ApplicationType = inferType(m.RedirectURIs)
	}
	uris, err := g.redirectURIs(m.RedirectURIs, c.ApplicationType)
	if err != nil {
		return err
	}
	if c.GrantTypes, err = grantTypes(m); err != nil {
		return err
	}
	c.RedirectURIs, c.ResponseTypes, c.Trust = uris, []string{"code"}, store.TrustSelf
	if c.AuthMethod = m.AuthMethod; c.AuthMethod == "" {
		c.AuthMethod = authBasic
	}
	c.Public = c.AuthMethod == authNone
	scopes := slices.Clone(g.cfg.Scopes)
	if c.ID != "" { // an update: what the operator has taken from the client stays taken
		scopes = slices.DeleteFunc(scopes, func(s string) bool { return !slices.Contains(c.Scopes, s) })
	}
	c.Scopes, c.DefaultScopes = scopes, g.reg.DefaultScopes(m.Scope, scopes)
	c.Name, c.URI, c.LogoURI, c.PolicyURI, c.TOSURI, c.Contacts = m.Name, m.URI, m.LogoURI, m.PolicyURI, m.TOSURI, m.Contacts
	// Keys are kept where they have a use only: a client that has keys gets no
	// secret.
	c.JWKS, c.JWKSURI = nil, ""
	if c.AuthMethod == authPrivateKey {
		c.JWKS, c.JWKSURI = m.JWKS, m.JWKSURI
		if len(c.JWKS) == 0 && c.JWKSURI == "" {
			return invalid("private_key_jwt needs jwks or jwks_uri")
		}
	}
	return nil
}

// redirectURIs keeps those that the client may be answered at. Some clients
// register one list for all the providers they know, with addresses that only
// some of them allow: what is not kept is refused when it is used.
func (g *registration) redirectURIs(list []string, applicationType string) ([]string, error) {
	var good []string
	var first error
	for _, uri := range list {
		err := g.checkRedirectURI(uri, applicationType)
		switch {
		case err != nil && first == nil:
			first = err
		case err == nil && !slices.Contains(good, uri):
			good = append(good, uri)
		}
	}
	if len(good) > 0 {
		return good, nil
	}
	if first == nil {
		first = &oauth.Error{Code: oauth.ErrInvalidRedirectURI, Description: "redirect_uris is missing"}
	}
	return nil, first
}

// checkRedirectURI judges an address of a stranger's client: beside https and
// loopback only the private-use schemes that the app has named, dotted or not.
// Any program can take one (RFC 8252 §8.6).
func (g *registration) checkRedirectURI(uri, applicationType string) error {
	scheme, _, _ := strings.Cut(uri, ":")
	if scheme != "https" && scheme != "http" && !slices.Contains(g.reg.Config().Policy.PrivateUseSchemes, scheme) {
		return &oauth.Error{Code: oauth.ErrInvalidRedirectURI, Description: "a redirect URI must be https, or http on a loopback address"}
	}
	return g.reg.CheckRedirectURI(uri, applicationType)
}

// inferType is the application_type of a client that has not heard of it: native
// if any of its addresses is on the user's machine.
func inferType(uris []string) string {
	for _, uri := range uris {
		if !strings.HasPrefix(uri, "https://") {
			return "native"
		}
	}
	return "web"
}

// grantTypes are the two that strangers may have, of those they ask for.
func grantTypes(m *metadata) ([]string, error) {
	if len(m.ResponseTypes) > 0 && !slices.Contains(m.ResponseTypes, "code") {
		return nil, invalid("response_types must have code")
	}
	both := []string{grantCode, grantRefresh}
	if len(m.GrantTypes) == 0 {
		return both, nil
	}
	if !slices.Contains(m.GrantTypes, grantCode) {
		return nil, invalid("grant_types must have authorization_code")
	}
	return slices.DeleteFunc(both, func(g string) bool { return !slices.Contains(m.GrantTypes, g) }), nil
}

// check holds the bounds that are the same for every client.
func (m *metadata) check() error {
	if m.ApplicationType != "" && m.ApplicationType != "native" && m.ApplicationType != "web" {
		return invalid("application_type must be native or web")
	}
	if len(m.RedirectURIs) > maxRedirectURIs {
		return &oauth.Error{Code: oauth.ErrInvalidRedirectURI, Description: "more than 20 redirect URIs"}
	}
	if len(m.Contacts) > maxContacts {
		return invalid("more than 10 contacts")
	}
	for _, text := range append([]string{m.Name, m.SoftwareID, m.SoftwareVersion}, m.Contacts...) {
		if len(text) > maxText || strings.ContainsRune(text, 0) {
			return invalid("a name, contact or software identifier has more than 200 bytes")
		}
	}
	links := []string{m.URI, m.LogoURI, m.PolicyURI, m.TOSURI, m.JWKSURI, m.SectorIdentifierURI, m.InitiateLoginURI, m.BackchannelLogoutURI}
	for _, link := range append(links, m.RequestURIs...) {
		if link != "" && !public(link) {
			return invalid("the URLs in client metadata must be https with a public host name")
		}
	}
	return m.checkKeys()
}

// public reports whether a link is https to a host with a name: an address in
// numbers, or a name of this machine, is no place of the public web.
func public(link string) bool {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" || u.User != nil || len(link) > 2048 {
		return false
	}
	if strings.ContainsFunc(u.Host, func(r rune) bool { return r > '~' }) { // some digits and dots are others, until they are looked up
		return false
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	labels := strings.Split(host, ".")
	last := labels[len(labels)-1]
	if _, err := netip.ParseAddr(host); err == nil || len(labels) < 2 || last == "localhost" || last == "internal" || last == "local" {
		return false
	}
	return last != "" && (last[0] < '0' || last[0] > '9') // 127.1, 0x7f.1: numbers to some resolvers
}

func (m *metadata) checkKeys() error {
	if len(m.JWKS) == 0 || string(m.JWKS) == "null" {
		m.JWKS = nil
		return nil
	}
	if m.JWKSURI != "" {
		return invalid("jwks and jwks_uri exclude each other")
	}
	keys, err := jose.ParseJWKS(m.JWKS)
	if err != nil || len(keys) == 0 || len(keys) > maxKeys {
		return &oauth.Error{Code: oauth.ErrInvalidClientMetadata, Description: "jwks must have 1 to 20 public signature keys", Err: err}
	}
	return nil
}
