package registration

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// information is a client as it is told about itself (RFC 7591 §3.2.1, RFC 7592
// §3). The secret is told once: only its hash is kept.
type information struct {
	ClientID        string          `json:"client_id"`
	Secret          string          `json:"client_secret,omitempty"`
	SecretExpiresAt *int64          `json:"client_secret_expires_at,omitempty"`
	IssuedAt        int64           `json:"client_id_issued_at"`
	RedirectURIs    []string        `json:"redirect_uris"`
	AuthMethod      string          `json:"token_endpoint_auth_method"`
	GrantTypes      []string        `json:"grant_types"`
	ResponseTypes   []string        `json:"response_types"`
	ApplicationType string          `json:"application_type"`
	Name            string          `json:"client_name,omitempty"`
	URI             string          `json:"client_uri,omitempty"`
	LogoURI         string          `json:"logo_uri,omitempty"`
	Scope           string          `json:"scope,omitempty"`
	Contacts        []string        `json:"contacts,omitempty"`
	TOSURI          string          `json:"tos_uri,omitempty"`
	PolicyURI       string          `json:"policy_uri,omitempty"`
	JWKSURI         string          `json:"jwks_uri,omitempty"`
	JWKS            json.RawMessage `json:"jwks,omitempty"`
	SoftwareID      string          `json:"software_id,omitempty"`
	SoftwareVersion string          `json:"software_version,omitempty"`
	Statement       string          `json:"software_statement,omitempty"`
	Token           string          `json:"registration_access_token"`
	ConfigURI       string          `json:"registration_client_uri"`
}

// ownData is what this package keeps in Client.Data, under the member named
// dataName; other members are other people's.
type ownData struct {
	Token           string `json:"token"` // SHA-256 of the registration access token
	SoftwareID      string `json:"software_id,omitempty"`
	SoftwareVersion string `json:"software_version,omitempty"`
	Statement       string `json:"software_statement,omitempty"`
}

const dataName = "registration"

func getData(c *oauth.Client) (d ownData, ok bool) {
	var all map[string]json.RawMessage
	if json.Unmarshal(c.Data, &all) != nil || json.Unmarshal(all[dataName], &d) != nil {
		return ownData{}, false
	}
	return d, d.Token != ""
}

func setData(c *oauth.Client, d ownData) error {
	all := map[string]json.RawMessage{}
	if len(c.Data) > 0 {
		if err := json.Unmarshal(c.Data, &all); err != nil {
			return err
		}
	}
	own, err := json.Marshal(d)
	if err != nil {
		return err
	}
	all[dataName] = own
	c.Data, err = json.Marshal(all)
	return err
}

// newToken makes a registration access token: 256 bits, so that a plain digest
// of it can be kept.
func newToken() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// describe tells a client what is registered for it.
func (g *registration) describe(c *oauth.Client, secret, token string) (*information, error) {
	endpoint, ok := g.reg.Provider().Metadata()["registration_endpoint"].(string)
	if !ok {
		return nil, errors.New("registration_endpoint was taken out of the metadata")
	}
	d, _ := getData(c)
	info := &information{
		ClientID: c.ID, Secret: secret, IssuedAt: c.CreatedAt.Unix(),
		RedirectURIs: c.RedirectURIs, AuthMethod: c.AuthMethod, GrantTypes: c.GrantTypes, ResponseTypes: c.ResponseTypes,
		ApplicationType: c.ApplicationType, Name: c.Name, URI: c.URI, LogoURI: c.LogoURI, Scope: strings.Join(c.Scopes, " "),
		Contacts: c.Contacts, TOSURI: c.TOSURI, PolicyURI: c.PolicyURI, JWKSURI: c.JWKSURI, JWKS: c.JWKS,
		SoftwareID: d.SoftwareID, SoftwareVersion: d.SoftwareVersion, Statement: d.Statement,
		Token: token, ConfigURI: endpoint + "?client_id=" + url.QueryEscape(c.ID),
	}
	if secret != "" {
		info.SecretExpiresAt = new(int64) // 0: never
	}
	return info, nil
}

// owner returns the client that the registration access token belongs to. What
// is wrong, the client or the token, is not told.
func (g *registration) owner(r *http.Request) (*oauth.Client, string, error) {
	refuse := func(why string) (*oauth.Client, string, error) {
		return nil, "", &oauth.Error{Code: ErrInvalidToken, Description: "the registration access token is not valid for this client", Err: errors.New(why)}
	}
	token, ok := bearer(r)
	query, err := url.ParseQuery(r.URL.RawQuery)
	if !ok || err != nil || len(query["client_id"]) != 1 {
		return refuse("there is no token, or no client_id")
	}
	id := query.Get("client_id")
	if !store.ValidKey(id, store.MaxClientID) {
		return refuse("client is unknown")
	}
	c, err := g.reg.Config().Store.Client(r.Context(), id)
	if errors.Is(err, store.ErrNotFound) {
		return refuse("client is unknown")
	}
	if err != nil {
		return nil, "", err
	}
	d, ok := getData(&c)
	switch {
	case !ok || c.Trust != store.TrustSelf:
		return refuse("client did not register itself")
	case c.Disabled:
		return refuse("client is disabled")
	case subtle.ConstantTimeCompare([]byte(d.Token), []byte(digest(token))) != 1:
		return refuse("the token is another one")
	}
	return &c, token, nil
}

func (g *registration) read(r *http.Request) (*information, error) {
	c, token, err := g.owner(r)
	if err != nil {
		return nil, err
	}
	return g.describe(c, "", token)
}

// update replaces the metadata of a client (RFC 7592 §2.2), under the same rules
// as a registration. How a client authenticates stays: another way needs another
// registration.
func (g *registration) update(w http.ResponseWriter, r *http.Request) (*information, error) {
	c, token, err := g.owner(r)
	if err != nil {
		return nil, err
	}
	m, all, err := g.readBody(w, r)
	if err != nil {
		return nil, err
	}
	if m.ClientID != c.ID {
		return nil, invalid("client_id must be that of the client")
	}
	for _, name := range []string{"registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"} {
		if _, ok := all[name]; ok {
			return nil, invalid("an update must not have " + name + " (RFC 7592, section 2.2)")
		}
	}
	method := c.AuthMethod
	if m.ClientSecret != "" {
		known, err := g.reg.Provider().AuthenticateClient(r.Context(), oauth.Credentials{ClientID: c.ID, Secret: m.ClientSecret, Basic: method == authBasic})
		if err != nil && !errors.Is(err, oauth.ErrInvalidClient) {
			return nil, err
		}
		if err != nil || known.ID != c.ID {
			return nil, invalid("client_secret must be the one that was issued, or absent")
		}
	}
	if err := g.judge(r.Context(), m, all, c, g.cfg.Address(r), true); err != nil {
		return nil, err
	}
	if c.AuthMethod != method {
		return nil, invalid("token_endpoint_auth_method cannot be changed: register again")
	}
	d, _ := getData(c)
	d.SoftwareID, d.SoftwareVersion, d.Statement = m.SoftwareID, m.SoftwareVersion, m.Statement
	if err := setData(c, d); err != nil {
		return nil, err
	}
	if err := g.reg.Provider().UpdateClient(r.Context(), *c); err != nil {
		return nil, err
	}
	return g.describe(c, "", token)
}

// remove deletes the client and ends what it was granted (RFC 7592 §2.3).
func (g *registration) remove(r *http.Request) error {
	c, _, err := g.owner(r)
	if err != nil {
		return err
	}
	return g.reg.Provider().DeleteClient(r.Context(), c.ID)
}
