package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/resource"
	"github.com/seed-e797c9ce/oauth/store"
)

const (
	issuer      = "https://auth.example"
	api         = "https://api.example"
	redirectURI = "https://app.example/callback"
	verifier    = "the-verifier-of-every-request-of-this-benchmark-0123456789"
	users       = 1000
	userHeader  = "X-User" // stands for the session cookie of the app
)

// bench is a provider as an app would have it, with memory as its store, a
// client of each kind, and an API beside it.
type bench struct {
	provider *oauth.Provider
	store    *store.Memory
	key      *ecdsa.PrivateKey
	secret   string // of the confidential clients: cron, api
	app      *oauth.Client
	served   int
}

// user is one of the users, in turns.
func (b *bench) user() string {
	b.served++
	return "user-" + strconv.Itoa(b.served%users)
}

func sessionOf(user string) oauth.Session {
	return oauth.Session{Subject: user, ID: "session-of-" + user, AuthTime: time.Now()}
}

// unchecked authenticates the client of this name with nothing to check, for
// what a secret costs beside that.
func unchecked(r *oauth.Registry) error {
	r.ClientAuth(uncheckedMethod, func(ctx context.Context, c oauth.Credentials) (*oauth.Client, error) {
		if c.ClientID != uncheckedMethod {
			return nil, nil
		}
		return r.Provider().Client(ctx, c.ClientID)
	})
	return nil
}

const uncheckedMethod = "unchecked"

func newBench() *bench {
	b := &bench{store: store.NewMemory()}
	var err error
	b.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	b.provider, err = oauth.New(oauth.Config{
		Issuer: issuer, Store: b.store, LoginURL: "/login",
		Session: func(r *http.Request) (oauth.Session, error) { return sessionOf(r.Header.Get(userHeader)), nil },
		Users: func(context.Context, string) (oauth.User, error) {
			return oauth.User{Active: true, Username: "alice"}, nil
		},
		Scopes:     map[string]string{"read": "Read your things", "write": "Change your things"},
		Resources:  []oauth.Resource{{URI: api, Introspectors: []string{"api"}}},
		Keys:       oauth.StaticKeys{{ID: "k", Signer: b.key}},
		Secret:     []byte("0123456789abcdef0123456789abcdef"),
		Extensions: []oauth.Extension{unchecked},
		Logger:     slog.New(slog.DiscardHandler),
	})
	must(err)
	scopes := []string{"read", "write"}
	b.register(oauth.Client{ID: "app", Name: "App", Public: true, RedirectURIs: []string{redirectURI}, Scopes: scopes})
	b.register(oauth.Client{ID: "cron", Name: "Cron", Scopes: scopes, GrantTypes: []string{"client_credentials"}})
	b.register(oauth.Client{ID: uncheckedMethod, Name: "Unchecked", Scopes: scopes, GrantTypes: []string{"client_credentials"}, AuthMethod: uncheckedMethod})
	b.register(oauth.Client{ID: "api", Name: "API", GrantTypes: []string{}})
	b.app, err = b.provider.Client(context.Background(), "app")
	must(err)
	for range users {
		must(b.provider.GrantConsent(context.Background(), b.user(), "app", scopes, nil))
	}
	return b
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// register gives all clients that have a secret the same one.
func (b *bench) register(c oauth.Client) {
	if !c.Public && b.secret != "" {
		first, err := b.provider.Client(context.Background(), "cron")
		must(err)
		c.Secrets = first.Secrets
	}
	_, secret, err := b.provider.RegisterClient(context.Background(), c)
	must(err)
	if secret != "" {
		b.secret = secret
	}
}

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func authorization() url.Values {
	return url.Values{
		"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {redirectURI}, "state": {"a-state-of-some-length"},
		"scope": {"read write"}, "resource": {api}, "code_challenge": {challenge()}, "code_challenge_method": {"S256"},
	}
}

func get(path string) *http.Request { return request(http.MethodGet, path, nil) }

func request(method, path string, body io.Reader) *http.Request {
	r, err := http.NewRequest(method, path, body)
	must(err)
	return r
}

// post makes a back-channel request; with a client it authenticates by secret.
func (b *bench) post(path, client string, form url.Values) *http.Request {
	r := request(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client != "" {
		r.SetBasicAuth(client, b.secret)
	}
	return r
}

// code is an authorization code that has not been redeemed.
func (b *bench) code() string {
	ctx := context.Background()
	req, err := b.provider.ParseAuthorization(ctx, authorization())
	must(err)
	code, err := b.provider.CreateAuthorizationCode(ctx, req, oauth.Approval{Session: sessionOf(b.user())})
	must(err)
	return code
}

// tokens are those of a new authorization.
func (b *bench) tokens() *oauth.TokenResponse {
	t, err := b.provider.Exchange(context.Background(), b.app, oauth.ExchangeRequest{Code: b.code(), RedirectURI: redirectURI, CodeVerifier: verifier})
	must(err)
	return t
}

// protected is an API behind a verifier. Its handler writes nothing.
func (b *bench) protected(v resource.Verifier) http.Handler {
	s, err := resource.New(resource.Config{Resource: api, Issuers: []string{issuer}, Verifier: v})
	must(err)
	return s.Require("read")(http.HandlerFunc(noContent))
}

func noContent(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// published verifies with the keys that the provider publishes, fetched without
// a network.
func (b *bench) published() resource.Verifier {
	return resource.NewJWT(resource.JWTConfig{Issuer: issuer, JWKS: issuer + "/oauth/jwks", Client: &http.Client{Transport: direct{b.provider}}})
}

type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

// authorizations puts n of one user each into the store, as exchanges would
// have left them, and returns up to keep of their refresh tokens, from all over.
// What a refresh token looks like is known here, for n can be a million.
func (b *bench) authorizations(n, keep int) []string {
	text := func(name string, i int) string {
		sum := sha256.Sum256([]byte(name + strconv.Itoa(i)))
		return base64.RawURLEncoding.EncodeToString(sum[:])
	}
	var kept []string
	at := time.Now().UTC().Truncate(time.Microsecond)
	for i := range n {
		id, family, secret := uuid.Must(uuid.NewV7()).String(), text("family", i)[:22], text("secret", i)
		must(b.store.CreateToken(context.Background(), store.Token{
			ID: id, ClientID: "app", Subject: "user-" + strconv.Itoa(i), State: store.TokenActive,
			Scopes: []string{"read", "write"}, Resources: []string{api},
			FamilyHash: sha256.Sum256([]byte(family)), SecretHash: sha256.Sum256([]byte(secret)),
			RotatedAt: at, CreatedAt: at, LastUsedAt: at, ExpiresAt: at.Add(24 * time.Hour), PurgeAt: at.Add(48 * time.Hour),
		}))
		if i%max(n/keep, 1) == 0 {
			kept = append(kept, id+"."+family+"."+secret)
		}
	}
	return kept
}
