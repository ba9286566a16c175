package store

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// Sizes in bytes that no record exceeds. They are what the narrowest database
// can index (MySQL: 3,072 bytes in a key).
const (
	MaxSubject  = 255     // Subject
	MaxClientID = 2048    // ClientID; a client's ID can be an URL
	MaxKey      = 255     // Code.Kind, Code.Key, Token.ID
	MaxRecord   = 1 << 18 // the strings and bytes of one record together
	MaxPage     = 1000    // limit of a List method and of nothing else
)

// Hash is a SHA-256 digest. The zero Hash means that there is none.
type Hash [32]byte

// IsZero reports whether there is no digest.
func (h Hash) IsZero() bool { return h == Hash{} }

// Client is an application that may ask for tokens. The JSON names are those of
// RFC 7591 where it has one, so that a client can be read from a configuration
// file; a store may keep the record as this JSON.
type Client struct {
	ID      string `json:"client_id"`
	Name    string `json:"client_name,omitempty"` // shown on the consent page
	Public  bool   `json:"public,omitempty"`      // has no secret (RFC 6749 §2.1); false: confidential
	Version int64  `json:"version,omitempty"`

	// Secrets are bcrypt hashes; while a secret is being rotated there are two.
	Secrets []Secret `json:"secrets,omitempty"`

	// AuthMethod is how the client authenticates at the token endpoint: none,
	// client_secret_basic, client_secret_post, or a method that an extension
	// adds. Empty: client_secret_basic or client_secret_post, as the client
	// likes; none if it is public.
	AuthMethod string `json:"token_endpoint_auth_method,omitempty"`

	RedirectURIs  []string `json:"redirect_uris,omitempty"`
	GrantTypes    []string `json:"grant_types,omitempty"`
	ResponseTypes []string `json:"response_types,omitempty"`
	Scopes        []string `json:"scopes,omitempty"`         // all that it may ask for; empty: none
	DefaultScopes []string `json:"default_scopes,omitempty"` // what it gets if it asks for none; empty: all of Scopes
	Resources     []string `json:"resources,omitempty"`      // RFC 8707: which it may ask for; empty: all of the provider's

	// ApplicationType is native or web (OpenID Connect Registration §2). Native
	// clients may have private-use schemes and loopback redirect URIs, web clients
	// neither; empty: loopback ones only.
	ApplicationType string `json:"application_type,omitempty"`

	// Trust says where the client comes from. Only TrustRegistered ones may be
	// FirstParty, and only to them are errors redirected before sign-in.
	Trust      Trust `json:"trust,omitempty"`
	FirstParty bool  `json:"first_party,omitempty"` // consent is not asked for
	Disabled   bool  `json:"disabled,omitempty"`    // gets nothing, like a client that does not exist

	URI       string   `json:"client_uri,omitempty"`
	LogoURI   string   `json:"logo_uri,omitempty"`
	PolicyURI string   `json:"policy_uri,omitempty"`
	TOSURI    string   `json:"tos_uri,omitempty"`
	Contacts  []string `json:"contacts,omitempty"`
	JWKS      []byte   `json:"jwks,omitempty"` // a JWK Set (RFC 7517 §5), as JSON; in the record's own JSON as base64
	JWKSURI   string   `json:"jwks_uri,omitempty"`

	// Lifetimes of what this client is given; zero: the provider's.
	AccessTokenLifetime  time.Duration `json:"access_token_lifetime,omitempty"`
	RefreshTokenLifetime time.Duration `json:"refresh_token_lifetime,omitempty"`

	CreatedAt time.Time `json:"created_at,omitzero"`
	UpdatedAt time.Time `json:"updated_at,omitzero"`
	PurgeAt   time.Time `json:"purge_at,omitzero"` // DeleteExpired may delete it from then on; zero: never

	Data []byte `json:"data,omitempty"` // of extensions and of the app; opaque to the store
}

// Secret is a client secret as it is kept.
type Secret struct {
	Hash      string    `json:"hash"` // bcrypt
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// Trust says where a client comes from. Every value but TrustRegistered counts
// as a stranger's.
type Trust string

const (
	TrustRegistered Trust = "registered" // by the operator
	TrustDocument   Trust = "document"   // its client_id is the URL of a metadata document
	TrustSelf       Trust = "self"       // registered itself (RFC 7591)
)

// Code is a record that is used once.
type Code struct {
	Kind       string
	Key        string // in almost every case the digest of what a client holds
	Data       []byte // opaque to the store
	ExpiresAt  time.Time
	ConsumedAt time.Time // zero: not used yet
	PurgeAt    time.Time // DeleteExpired may delete it from then on; zero: never
	Version    int64
}

// TokenState is how far an authorization has come. Revocation is not a state:
// RevokedAt says it, and ends both.
type TokenState uint8

const (
	TokenPending TokenState = iota // approved; the code has not been redeemed
	TokenActive                    // the code was redeemed, or there never was one
)

// Token is an authorization: a client's right to act, for a user or for itself.
// Refresh tokens are values that match its hashes; access tokens carry its ID.
type Token struct {
	ID        string
	ClientID  string
	Subject   string // empty: the client acts for itself
	State     TokenState
	Scopes    []string // what was granted; a refresh may ask for less, and changes nothing here
	Resources []string

	FamilyHash   Hash   // of the part that all refresh tokens of the authorization share; zero: it has none
	SecretHash   Hash   // of the current refresh token
	PreviousHash Hash   // of the one before
	Successor    []byte // the current refresh token, sealed under the one before
	RotatedAt    time.Time

	CreatedAt  time.Time
	LastUsedAt time.Time // exchange or refresh
	ExpiresAt  time.Time // end of the refresh token, or of the pending code
	RevokedAt  time.Time // zero: not revoked
	PurgeAt    time.Time // DeleteExpired may delete it from then on; zero: never

	Device  string // where it is used, for people: given at the exchange
	IP      string
	Data    []byte // opaque to the store
	Version int64
}

// Consent is what a user has agreed to let a client do.
type Consent struct {
	Subject    string
	ClientID   string
	Scopes     []string // in a store: each with a space and the resource that it was agreed to for; from a Provider: names alone
	Resources  []string
	ClientHash Hash // of what the user was shown of a stranger; zero for a registered client
	GrantedAt  time.Time
	UpdatedAt  time.Time
}

// ValidKey reports whether s can be a key, or the part of one, of at most limit
// bytes: not empty, valid UTF-8, without NUL.
func ValidKey(s string, limit int) bool { return s != "" && len(s) <= limit && validText(s) }

func validText(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == 0 {
			return false
		}
	}
	return utf8.ValidString(s)
}

// Check returns an error that wraps ErrInvalid, and says what is wrong, if the
// record cannot be stored: a key that ValidKey refuses, text that is not valid
// UTF-8 or has a NUL, or more than MaxRecord bytes.
func (c Client) Check() error {
	k := check{record: "client"}
	k.key("ID", c.ID, MaxClientID)
	k.text("text", c.Name, c.AuthMethod, c.ApplicationType, string(c.Trust), c.URI, c.LogoURI, c.PolicyURI, c.TOSURI, c.JWKSURI)
	for _, list := range [][]string{c.RedirectURIs, c.GrantTypes, c.ResponseTypes, c.Scopes, c.DefaultScopes, c.Resources, c.Contacts} {
		k.text("list", list...)
	}
	for _, s := range c.Secrets {
		k.text("Secrets", s.Hash)
	}
	k.size += len(c.JWKS) + len(c.Data)
	return k.result()
}

// Check is to Code what Client.Check is to Client.
func (c Code) Check() error {
	k := check{record: "code"}
	k.key("Kind", c.Kind, MaxKey)
	k.key("Key", c.Key, MaxKey)
	k.size += len(c.Data)
	return k.result()
}

// Check is to Token what Client.Check is to Client.
func (t Token) Check() error {
	k := check{record: "token"}
	k.key("ID", t.ID, MaxKey)
	k.key("ClientID", t.ClientID, MaxClientID)
	if t.Subject != "" {
		k.key("Subject", t.Subject, MaxSubject)
	}
	k.text("Scopes", t.Scopes...)
	k.text("Resources", t.Resources...)
	k.text("Device or IP", t.Device, t.IP)
	k.size += len(t.Successor) + len(t.Data)
	return k.result()
}

// Check is to Consent what Client.Check is to Client.
func (c Consent) Check() error {
	k := check{record: "consent"}
	k.key("Subject", c.Subject, MaxSubject)
	k.key("ClientID", c.ClientID, MaxClientID)
	k.text("Scopes", c.Scopes...)
	k.text("Resources", c.Resources...)
	return k.result()
}

type check struct {
	record string
	size   int
	err    error
}

func (k *check) key(field, s string, limit int) {
	k.size += len(s)
	if k.err == nil && !ValidKey(s, limit) {
		k.err = fmt.Errorf("%w: %s of a %s must be 1 to %d bytes of UTF-8 without NUL", ErrInvalid, field, k.record, limit)
	}
}

func (k *check) text(field string, list ...string) {
	for _, s := range list {
		k.size += len(s)
		if k.err == nil && !validText(s) {
			k.err = fmt.Errorf("%w: %s of a %s must be UTF-8 without NUL", ErrInvalid, field, k.record)
		}
	}
}

func (k *check) result() error {
	if k.err == nil && k.size > MaxRecord {
		k.err = fmt.Errorf("%w: a %s of %d bytes is over the limit of %d", ErrInvalid, k.record, k.size, MaxRecord)
	}
	return k.err
}
