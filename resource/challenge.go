package resource

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// retryAfter is what a client is told that could not be answered, in seconds.
const retryAfter = "5"

// refuse answers a request that is not let through (RFC 6750 §3), and tells
// OnRefusal. needed are the scopes to ask for.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error, needed []string) {
	if s.cfg.OnRefusal != nil {
		s.cfg.OnRefusal(r, err)
	}
	var unknown unknownTool
	switch {
	case errors.As(err, &outage{}):
		s.unavailable(w)
	case errors.As(err, &unknown):
		unknown.write(w)
	case errors.Is(err, ErrNoToken):
		s.challenge(w, "", "", needed)
		writeError(w, http.StatusUnauthorized, "", "this resource needs an access token")
	case errors.Is(err, ErrInvalidToken):
		const why = "the access token is invalid, expired, revoked, or for another resource"
		s.challenge(w, "invalid_token", why, needed)
		writeError(w, http.StatusUnauthorized, "invalid_token", why)
	case errors.Is(err, ErrInsufficientScope):
		const why = "the access token does not have the scopes that this needs"
		s.challenge(w, "insufficient_scope", why, needed)
		writeError(w, http.StatusForbidden, "insufficient_scope", why)
	case errors.Is(err, errTooLarge):
		writeError(w, http.StatusRequestEntityTooLarge, "invalid_request", "the body is too large")
	case errors.Is(err, errOrigin):
		writeError(w, http.StatusForbidden, "invalid_request", "calls from this origin are not accepted")
	case errors.Is(err, ErrInvalidRequest):
		const why = "the request is malformed, or has its access token in more than one place or not in the Authorization header"
		s.challenge(w, "invalid_request", why, nil)
		writeError(w, http.StatusBadRequest, "invalid_request", why)
	default:
		s.unavailable(w)
	}
}

func (s *Server) unavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", retryAfter)
	writeError(w, http.StatusServiceUnavailable, "temporarily_unavailable", "access tokens cannot be checked at the moment")
}

// challenge sets WWW-Authenticate, as one line. Nothing in it needs escaping:
// code and description are ours, joinScopes drops what is no scope name, and
// parseURL has refused a Resource that could break out of quotes.
func (s *Server) challenge(w http.ResponseWriter, code, description string, scopes []string) {
	params := make([]string, 0, 4)
	add := func(name, value string) {
		if value != "" {
			params = append(params, name+`="`+value+`"`)
		}
	}
	add("error", code)
	add("error_description", description)
	add("scope", joinScopes(scopes))
	add("resource_metadata", s.location)
	w.Header().Set("WWW-Authenticate", "Bearer "+strings.Join(params, ", "))
}

// joinScopes writes each valid scope once, in the order given.
func joinScopes(scopes []string) string {
	var list []string
	for _, scope := range scopes {
		if validScope(scope) && !slices.Contains(list, scope) {
			list = append(list, scope)
		}
	}
	return strings.Join(list, " ")
}

// writeError writes the answer's status and body. RFC 6750 §3.1 wants no error
// code where there was no token.
func writeError(w http.ResponseWriter, status int, code, description string) {
	body, err := json.Marshal(struct {
		Error       string `json:"error,omitempty"`
		Description string `json:"error_description"`
	}{code, description})
	if err != nil { // two strings always marshal
		body = []byte("{}")
	}
	writeJSON(w, status, body)
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}
