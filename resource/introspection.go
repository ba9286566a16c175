package resource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-e797c9ce/oauth/internal/strictjson"
)

// Introspection asks the issuer about each token (RFC 7662), at the
// introspection_endpoint of its metadata (RFC 8414), as the client with this ID
// and secret; c may be nil. It works with tokens of any form, and what was
// revoked is refused at once. Nothing is remembered: each request costs one to the
// issuer, of at most 5 seconds.
//
// The answer must have aud and client_id; without iss it is taken to be the
// issuer's own; without exp it holds for one minute, that is, for the request at
// hand.
func Introspection(issuer, clientID, clientSecret string, c *http.Client) Verifier {
	return &introspection{issuer: issuer, id: clientID, secret: clientSecret, remote: newRemote(c)}
}

type introspection struct {
	issuer, id, secret string
	remote             remote

	mu    sync.Mutex
	found string // the endpoint
}

func (v *introspection) check(issuers []string, wrong func(string, ...any)) {
	if !slices.Contains(issuers, v.issuer) {
		wrong("Introspection: the issuer %q is not one of Config.Issuers, which are compared byte for byte", v.issuer)
	}
	if v.id == "" || v.secret == "" {
		wrong("Introspection: a client ID and a secret are required (RFC 7662, section 2.1)")
	}
}

// VerifyToken implements Verifier.
func (v *introspection) VerifyToken(ctx context.Context, token string) (*Token, error) {
	if len(token) > MaxToken {
		return nil, invalid("too long")
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	endpoint, err := v.endpoint(ctx)
	if err != nil {
		return nil, err
	}
	body := strings.NewReader(url.Values{"token": {token}, "token_type_hint": {"access_token"}}.Encode())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(v.id), url.QueryEscape(v.secret)) // RFC 6749 §2.3.1
	answer, err := v.remote.do(r)
	var status statusError
	if errors.As(err, &status) {
		v.forget() // it may have moved
	}
	if err != nil {
		return nil, err
	}
	return v.read(answer, time.Now())
}

func (v *introspection) read(answer []byte, now time.Time) (*Token, error) {
	members, err := strictjson.Object(answer, claimsDepth)
	if err != nil {
		return nil, err // the issuer is broken: an outage
	}
	if !bytes.Equal(members["active"], []byte("true")) {
		return nil, invalid("the issuer says that it is not active")
	}
	if kind, ok := members["token_type"]; ok { // RFC 7662 §2.2; a refresh token has another, or none
		if s, ok := strictjson.String(kind); !ok || !strings.EqualFold(s, "Bearer") && !strings.EqualFold(s, "DPoP") {
			return nil, invalid("the issuer says that it is not an access token")
		}
	}
	t, err := readClaims(answer)
	if err != nil {
		return nil, err
	}
	if t.Issuer == "" {
		t.Issuer = v.issuer
	}
	if t.Issuer != v.issuer {
		return nil, invalid("iss is not the expected issuer")
	}
	if t.ClientID == "" { // without it, a client acting for itself would look like a user
		return nil, invalid("client_id is missing")
	}
	if t.ExpiresAt.IsZero() {
		t.ExpiresAt = now.Truncate(time.Second).Add(time.Minute)
	}
	t.Claims = json.RawMessage(answer)
	if err := t.checkTimes(now); err != nil {
		return nil, err
	}
	return t, nil
}

// endpoint finds the introspection endpoint once.
func (v *introspection) endpoint(ctx context.Context) (string, error) {
	v.mu.Lock()
	found := v.found
	v.mu.Unlock()
	if found != "" {
		return found, nil
	}
	md, err := v.remote.discover(ctx, v.issuer)
	if err != nil {
		return "", err
	}
	if found, err = md.endpoint("introspection_endpoint", md.Introspection); err != nil {
		return "", err
	}
	v.mu.Lock()
	v.found = found
	v.mu.Unlock()
	return found, nil
}

// forget makes the next request look for the endpoint again.
func (v *introspection) forget() {
	v.mu.Lock()
	v.found = ""
	v.mu.Unlock()
}
