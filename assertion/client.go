package assertion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/internal/strictjson"
	"github.com/seed-e797c9ce/oauth/store"
)

const (
	method        = "private_key_jwt"
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	ownType       = "client-authentication+jwt" // RFC 7523bis: the audience is the issuer then
	kind          = "client_assertion"          // of the records of assertions that were used
)

var algs = []string{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}

// verifier authenticates clients by private_key_jwt.
type verifier struct {
	cfg           Config
	reg           *oauth.Registry
	keys          *keyCache
	strangersKeys *keyCache // of clients that the operator did not register
}

func badRequest(description string) error {
	return &oauth.Error{Code: oauth.ErrInvalidRequest, Description: description}
}

// refuse is one answer to everything that is wrong with an assertion; what it
// was is for the log.
func refuse(format string, args ...any) error {
	return &oauth.Error{Code: oauth.ErrInvalidClient, Description: "client authentication failed", Err: fmt.Errorf("assertion: "+format, args...)}
}

// authenticate authenticates a client for Registry.ClientAuth. Nothing changes before everything has
// been verified; then the assertion is spent.
func (v *verifier) authenticate(ctx context.Context, c oauth.Credentials) (*oauth.Client, error) {
	if !c.Form.Has("client_assertion") && !c.Form.Has("client_assertion_type") {
		return nil, nil
	}
	switch {
	case c.Secret != "" || c.Basic:
		return nil, badRequest("more than one way of client authentication")
	case c.Form.Get("client_assertion_type") != assertionType:
		return nil, badRequest("client_assertion_type must be " + assertionType)
	case c.Form.Get("client_assertion") == "":
		return nil, badRequest("client_assertion is missing")
	}
	token, err := jose.Parse(c.Form.Get("client_assertion"), maxSize)
	if err != nil {
		return nil, refuse("%w", err)
	}
	var unproven claims
	if err := strictjson.Unmarshal(token.Unverified(), &unproven); err != nil {
		return nil, refuse("claims: %w", err)
	}
	if c.ClientID != "" && c.ClientID != unproven.Subject {
		return nil, refuse("client_id is not its sub")
	}
	client, err := v.reg.Provider().Client(ctx, unproven.Subject)
	if errors.Is(err, store.ErrNotFound) {
		return nil, refuse("client is unknown")
	}
	if err != nil {
		return nil, err
	}
	err = v.prove(ctx, client, token)
	if e := new(oauth.Error); errors.As(err, &e) && e.Code == oauth.ErrInvalidClient {
		// The request need not say who it is from, and most do not.
		e.Err = fmt.Errorf("client %q: %w", client.ID, e.Err)
	}
	return client, err
}

// prove returns nil if the assertion is the client's own, for this server, and new.
func (v *verifier) prove(ctx context.Context, client *oauth.Client, token *jose.Token) error {
	if client.Disabled || client.Public || client.AuthMethod != method {
		return refuse("client is disabled, or not registered for %s", method)
	}
	if !slices.Contains(algs, token.Alg) {
		return refuse("its alg is not supported")
	}
	cache := v.keys
	if client.Trust != store.TrustRegistered {
		cache = v.strangersKeys
	}
	body, err := cache.verify(ctx, client, token)
	if err != nil {
		return refuse("%w", err)
	}
	var proven claims
	if err := strictjson.Unmarshal(body, &proven); err != nil {
		return refuse("claims: %w", err)
	}
	until, err := v.judge(client, tokenType(token), &proven, time.Now())
	if err != nil {
		return err
	}
	err = spend(ctx, v.reg.Config().Store, kind, client.ID, proven.ID, until)
	if errors.Is(err, errSpent) {
		return refuse("%w", err)
	}
	return err
}

// judge checks the claims (RFC 7523 §3) and returns until when the assertion
// could be used.
func (v *verifier) judge(client *oauth.Client, typ string, c *claims, at time.Time) (time.Time, error) {
	if typ != "" && typ != "jwt" && typ != ownType {
		return time.Time{}, refuse("it is a token of another type")
	}
	audience, ok := strictjson.String(c.Audience)
	endpoint, _ := v.reg.Provider().Metadata()["token_endpoint"].(string)
	switch {
	case c.Issuer != client.ID || c.Subject != client.ID:
		return time.Time{}, refuse("iss and sub must be the client")
	case !ok || audience == "" || audience != v.reg.Config().Issuer && (audience != endpoint || typ == ownType):
		return time.Time{}, refuse("aud must be the issuer or the token endpoint, as one string")
	}
	if err := checkJTI(c.ID); err != nil {
		return time.Time{}, refuse("%w", err)
	}
	until, err := c.inTime(v.cfg.MaxLifetime, at)
	if err != nil {
		return time.Time{}, refuse("%w", err)
	}
	return until, nil
}
