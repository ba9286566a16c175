package oauth

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed-e797c9ce/oauth/store"
)

// Client authentication methods (RFC 7591 §2).
const (
	authNone  = "none"
	authBasic = "client_secret_basic"
	authPost  = "client_secret_post"
)

// Credentials is what a client has shown to prove who it is.
type Credentials struct {
	ClientID string
	Secret   string
	Basic    bool                 // by the Authorization header, not in the form
	Form     url.Values           // the whole request, for methods of extensions
	TLS      *tls.ConnectionState // for methods of extensions

	knownOnly bool // only a secret that matched before: no bcrypt run
}

// AuthenticateClient returns the client that the credentials belong to. A public
// client has no secret (an empty one counts as none); a confidential one always
// authenticates. Unknown client, missing, wrong or superfluous secret are one
// error to the outside, ErrInvalidClient, at the same cost; its cause tells them
// apart. ErrTemporarilyUnavailable if the store fails or too many secrets are
// being verified.
func (p *Provider) AuthenticateClient(ctx context.Context, c Credentials) (*Client, error) {
	client, err := p.authenticate(ctx, c)
	if err != nil {
		return nil, p.refused(ctx, Event{Kind: EventClientAuthFailed, ClientID: loggable(c.ClientID)}, err)
	}
	return client, nil
}

func (p *Provider) authenticate(ctx context.Context, c Credentials) (*Client, error) {
	for _, method := range p.reg.authOrder {
		client, err := p.reg.auth[method](ctx, c)
		if err != nil {
			return nil, err
		}
		if client == nil {
			continue
		}
		if c.Secret != "" || c.Basic {
			return nil, errorf(ErrInvalidRequest, "more than one way of client authentication")
		}
		if client.Disabled || client.AuthMethod != method {
			return nil, invalidClient("client is disabled, or not registered for %s", method)
		}
		return client, nil
	}
	if c.ClientID == "" {
		return nil, errorf(ErrInvalidClient, "no client credentials").because("no client_id")
	}
	client, reason, err := p.clientFor(ctx, c)
	if err != nil {
		return nil, err
	}
	if c.Secret == "" { // nothing to verify, and as fast for every client
		if client == nil {
			return nil, invalidClient("%w", reason)
		}
		return client, nil
	}
	var hashes []string
	if client != nil {
		for _, s := range client.Secrets {
			if s.ExpiresAt.IsZero() || now().Before(s.ExpiresAt) {
				hashes = append(hashes, s.Hash)
			}
		}
	}
	if c.knownOnly {
		if reason == nil && p.secrets.knows(c.Secret, hashes) {
			return client, nil
		}
		return nil, invalidClient("secret has not matched before")
	}
	err = p.secrets.verify(ctx, c.Secret, hashes)
	switch {
	case errors.Is(err, errSecretBusy), err != nil && errors.Is(err, ctx.Err()): // not compared
		return nil, outage("client secret", err)
	case reason != nil:
		return nil, invalidClient("%w", reason)
	case err != nil:
		return nil, invalidClient("%w", err)
	}
	return client, nil
}

// clientFor finds the client, or the reason why its secret, whatever it is,
// must be refused. With a reason the caller still spends the time of a
// verification.
func (p *Provider) clientFor(ctx context.Context, c Credentials) (client *Client, reason, err error) {
	client, err = p.findClient(ctx, c.ClientID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, unknownClient(err), nil
	}
	if err != nil {
		return nil, nil, outage("client", err)
	}
	method := authPost
	if c.Basic {
		method = authBasic
	}
	switch {
	case client.Disabled:
		reason = errors.New("client is disabled")
	case client.Public && c.Secret != "":
		reason = errors.New("client is public but sent a secret")
	case client.Public:
		return client, nil, nil
	case c.Secret == "":
		reason = errors.New("secret is missing")
	case client.AuthMethod != "" && client.AuthMethod != method:
		reason = fmt.Errorf("client is registered for %s and used %s", client.AuthMethod, method)
	case len(client.Secrets) == 0:
		reason = errors.New("client has no secret")
	}
	if reason != nil {
		return nil, reason, nil
	}
	return client, nil, nil
}

// unknownClient is the reason for the log. A source of clients may have said more
// than that it does not know the ID.
func unknownClient(err error) error {
	if err == store.ErrNotFound {
		return errors.New("client is unknown")
	}
	return fmt.Errorf("client is unknown: %v", err) // and no more: the caller's error is another
}

func invalidClient(format string, args ...any) *Error {
	return errorf(ErrInvalidClient, "client authentication failed").because(format, args...)
}

// authenticateRequest reads the credentials of a request. Basic credentials are
// tried as they are and then form-decoded: RFC 6749 §2.3.1 wants them encoded,
// and half of the clients in the field do not.
func (p *Provider) authenticateRequest(ctx context.Context, r *http.Request, form url.Values) (*Client, error) {
	c := Credentials{ClientID: form.Get("client_id"), Secret: form.Get("client_secret"), Form: form, TLS: r.TLS}
	header := r.Header["Authorization"]
	if len(header) == 0 {
		return p.AuthenticateClient(ctx, c)
	}
	if len(header) > 1 || c.Secret != "" || form.Has("client_assertion") {
		return nil, p.refused(ctx, Event{Kind: EventClientAuthFailed, ClientID: loggable(c.ClientID)},
			errorf(ErrInvalidRequest, "more than one way of client authentication"))
	}
	id, secret, ok := parseBasic(header[0])
	if !ok {
		return nil, p.refused(ctx, Event{Kind: EventClientAuthFailed},
			invalidClient("Authorization header is not Basic credentials"))
	}
	client, err := p.authenticateBasic(ctx, Credentials{ClientID: c.ClientID, Basic: true, Form: form, TLS: r.TLS}, basicSpellings(id, secret))
	if err != nil {
		return nil, p.refused(ctx, Event{Kind: EventClientAuthFailed, ClientID: loggable(id)}, err)
	}
	return client, nil
}

// authenticateBasic tries the spellings: first for a secret that has matched
// before, which costs nothing, so that a client that encodes its secret does not
// pay a failed bcrypt run for the other spelling at every request.
func (p *Provider) authenticateBasic(ctx context.Context, c Credentials, spellings [][2]string) (*Client, error) {
	inForm := c.ClientID
	var last error
	for _, knownOnly := range []bool{true, false} {
		for _, try := range spellings {
			if knownOnly && len(spellings) == 1 {
				continue
			}
			if inForm != "" && inForm != try[0] {
				if last == nil {
					last = errorf(ErrInvalidRequest, "client_id differs from the one in the Authorization header")
				}
				continue
			}
			c.ClientID, c.Secret, c.knownOnly = try[0], try[1], knownOnly
			client, err := p.authenticate(ctx, c)
			if !errors.Is(err, ErrInvalidClient) {
				return client, err
			}
			last = err
		}
	}
	return nil, last
}

// parseBasic splits Basic credentials (RFC 7617 §2) at the first colon.
func parseBasic(header string) (id, secret string, ok bool) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") || len(encoded) > 4096 {
		return "", "", false
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(strings.Trim(encoded, " "))
	if err != nil || !utf8.Valid(raw) || slices.Contains(raw, 0) {
		return "", "", false
	}
	id, secret, ok = strings.Cut(string(raw), ":")
	return id, secret, ok && id != ""
}

// basicSpellings returns the pair as it came and, if it differs, form-decoded.
func basicSpellings(id, secret string) [][2]string {
	out := [][2]string{{id, secret}}
	if !strings.ContainsAny(id+secret, "%+") {
		return out
	}
	decodedID, err1 := url.QueryUnescape(id)
	decodedSecret, err2 := url.QueryUnescape(secret)
	if err1 == nil && err2 == nil && store.ValidKey(decodedID, store.MaxClientID) {
		out = append(out, [2]string{decodedID, decodedSecret})
	}
	return out
}

// loggable keeps what a stranger wrote in the place of a client ID from filling
// or forging the log.
func loggable(id string) string {
	if len(id) > 200 {
		id = id[:200]
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) { // a direction or a line of its own
			return -1
		}
		return r
	}, id)
}
