package registration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed-e797c9ce/oauth"
)

// ServeHTTP is the registration endpoint (RFC 7591 §3) and, with a client_id in
// the query, the configuration endpoint of that client (RFC 7592 §2).
func (g *registration) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Allow-Origin", "*") // authenticated by what is sent, never by a cookie
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After")
	const methods = "POST, GET, PUT, DELETE, OPTIONS"
	var status int
	var answer any
	var err error
	switch r.Method {
	case http.MethodPost:
		status = http.StatusCreated
		answer, err = g.register(w, r)
	case http.MethodGet:
		status = http.StatusOK
		answer, err = g.read(r)
	case http.MethodPut:
		status = http.StatusOK
		answer, err = g.update(w, r)
	case http.MethodDelete:
		status = http.StatusNoContent
		err = g.remove(r)
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", methods)
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id")
		h.Set("Access-Control-Max-Age", "3600")
		status = http.StatusNoContent
	default:
		h.Set("Allow", methods)
		err = &oauth.Error{Code: oauth.ErrInvalidRequest, Description: "the method must be POST, GET, PUT or DELETE", Status: http.StatusMethodNotAllowed}
	}
	if err != nil {
		g.refuse(r.Context(), w, err)
		return
	}
	write(w, status, answer)
}

// register creates a client.
func (g *registration) register(w http.ResponseWriter, r *http.Request) (*information, error) {
	ctx, address, open := r.Context(), g.cfg.Address(r), g.cfg.InitialAccessToken == nil
	if wait, usedUp := g.limit.allow(address, time.Now(), open); usedUp != nil {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		return nil, &oauth.Error{Code: oauth.ErrTemporarilyUnavailable, Description: "too many registrations; try again later", Status: http.StatusTooManyRequests, Err: usedUp}
	}
	initial, ok := bearer(r)
	if !open && !ok {
		return nil, &oauth.Error{Code: ErrInvalidToken, Description: "registration needs an initial access token"}
	}
	m, all, err := g.readBody(w, r)
	if err != nil {
		return nil, err
	}
	c := oauth.Client{PurgeAt: now().Add(g.cfg.Unused)}
	if err := g.judge(ctx, m, all, &c, address, false); err != nil {
		return nil, err
	}
	if !open {
		ok, err := g.cfg.InitialAccessToken(ctx, initial)
		if err != nil {
			return nil, fmt.Errorf("initial access token: %w", err)
		}
		if !ok {
			return nil, &oauth.Error{Code: ErrInvalidToken, Description: "the initial access token is not valid"}
		}
		// It counts from here on. That others came in between is no reason to refuse
		// a token that has just been spent.
		g.limit.allow(address, time.Now(), true)
	}
	token := newToken()
	if err := setData(&c, ownData{Token: digest(token), SoftwareID: m.SoftwareID, SoftwareVersion: m.SoftwareVersion, Statement: m.Statement}); err != nil {
		return nil, err
	}
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	created, secret, err := g.reg.Provider().RegisterClient(ctx, c)
	if err != nil {
		return nil, err
	}
	return g.describe(created, secret, token)
}

// judge makes the metadata the client's, with what the policy says to it.
func (g *registration) judge(ctx context.Context, m *metadata, all map[string]json.RawMessage, c *oauth.Client, address string, update bool) error {
	if err := g.apply(m, c); err != nil {
		return err
	}
	if g.cfg.Policy == nil {
		return nil
	}
	if err := g.cfg.Policy(ctx, &Request{Client: c, Metadata: all, Address: address, Update: update}); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	return nil
}

func (g *registration) readBody(w http.ResponseWriter, r *http.Request) (*metadata, map[string]json.RawMessage, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" || r.Header.Get("Content-Encoding") != "" {
		return nil, nil, invalid("Content-Type must be application/json, without Content-Encoding")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return nil, nil, &oauth.Error{Code: oauth.ErrInvalidClientMetadata, Description: "the body has more than 64 KiB", Status: http.StatusRequestEntityTooLarge}
	}
	if err != nil {
		return nil, nil, &oauth.Error{Code: oauth.ErrInvalidRequest, Description: "the body cannot be read", Err: err}
	}
	return g.parse(r.Context(), body)
}

// bearer returns the token of the Authorization header (RFC 6750 §2.1), the only
// place it is looked for.
func bearer(r *http.Request) (string, bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	return token, strings.EqualFold(scheme, "Bearer") && token != "" && len(token) <= 4096
}

// refuse reports an error to the operator and answers with it.
func (g *registration) refuse(ctx context.Context, w http.ResponseWriter, err error) {
	e := new(oauth.Error)
	if !errors.As(err, &e) {
		e = &oauth.Error{Code: oauth.ErrTemporarilyUnavailable, Description: "the server cannot answer right now; try again", Err: err}
	}
	status := e.Status
	switch {
	case status != 0:
	case e.Code == ErrInvalidToken:
		status = http.StatusUnauthorized
	case e.Code == oauth.ErrTemporarilyUnavailable:
		status = http.StatusServiceUnavailable
	default:
		status = http.StatusBadRequest
	}
	event := oauth.Event{Kind: oauth.EventRequestRefused, Detail: "register", Err: err}
	if status >= 500 {
		event.Kind = oauth.EventOutage
	}
	g.reg.Emit(ctx, event)
	if e.Code == ErrInvalidToken {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "2")
	}
	write(w, status, struct {
		Error       oauth.ErrorCode `json:"error"`
		Description string          `json:"error_description,omitempty"`
		URI         string          `json:"error_uri,omitempty"`
	}{e.Code, e.Description, e.URI})
}

// write answers with a value; there is none for 204.
func write(w http.ResponseWriter, status int, v any) {
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body) // an error means that the client has gone
}
