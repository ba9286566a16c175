package resource

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-e797c9ce/oauth/internal/strictjson"
)

// MaxBody is how much of a request's body a RequireFunc policy may read, in
// bytes.
const MaxBody = 1 << 20

var (
	errTooLarge = fmt.Errorf("%w: a body of more than %d bytes", ErrInvalidRequest, MaxBody)
	errOrigin   = fmt.Errorf("%w: an origin that is not configured", ErrInvalidRequest)
)

// Require lets requests through whose token is valid and has all of the scopes,
// each itself or by one that implies it. Without scopes any valid token will do.
// The handlers behind it find the token with FromContext.
//
// It answers the others as RFC 6750 §3 says: 401 without a token or with one
// that is not valid, 403 with too few scopes, 400 if the request is ambiguous,
// and 503 if the verifier cannot tell. It also answers CORS preflight requests,
// for any origin (see Config.Origins), and lets the answers of the handlers
// behind it be read from there.
//
// Require panics if one of the scopes is no scope name (RFC 6749 §3.3): it is
// called when the program starts.
func (s *Server) Require(scopes ...string) func(http.Handler) http.Handler {
	for _, scope := range scopes {
		if !validScope(scope) {
			panic(fmt.Sprintf("resource: Require: %q is no scope name", scope))
		}
	}
	first := slices.Concat(s.cfg.Scopes, scopes)
	return s.guard(first, nil, func(*http.Request) ([]string, error) { return scopes, nil })
}

// RequireFunc is Require with scopes that depend on the request: policy returns
// what this one needs. It is asked after the token was found valid (FromContext
// has it) and may read up to MaxBody bytes of the body, which the handler then
// reads from the beginning again. Use ReadJSON, so that the policy and the
// handler cannot read two different things in one text.
//
// An error of policy that wraps ErrInvalidRequest is answered with 400, one that
// wraps ErrInvalidToken (an account that was closed, say) with 401, too large a
// body with 413, and any other error with 503; the handler is not called.
// Returning no scopes and no error lets every valid token through.
func (s *Server) RequireFunc(policy func(r *http.Request) (scopes []string, err error)) func(http.Handler) http.Handler {
	return s.guard(s.cfg.Scopes, nil, rereadable(policy))
}

// rereadable lets policy read the body that the handler reads again.
func rereadable(policy func(r *http.Request) ([]string, error)) func(r *http.Request) ([]string, error) {
	return func(r *http.Request) ([]string, error) {
		body := r.Body
		if body == nil || body == http.NoBody {
			return policy(r)
		}
		seen := &recorder{body: body}
		r.Body = seen
		scopes, err := policy(r)
		if seen.over {
			err = errTooLarge
		}
		r.Body = replay{io.MultiReader(bytes.NewReader(seen.read), body), body}
		return scopes, err
	}
}

// guard is the one way into a protected handler. first is asked for when there
// is no valid token, and always with what is needed when there are too few
// scopes.
func (s *Server) guard(first, always []string, policy func(r *http.Request) ([]string, error)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !s.cors(w, r) {
				return
			}
			token, err := s.authenticate(r)
			if err != nil {
				s.refuse(w, r, err, first)
				return
			}
			r = r.WithContext(NewContext(r.Context(), token))
			scopes, err := policy(r)
			if err == nil && !s.Allows(token, scopes...) {
				err, scopes = tooFew(token, scopes), slices.Concat(always, scopes)
			}
			if errors.Is(err, ErrInvalidToken) {
				scopes = first
			}
			if err != nil {
				s.refuse(w, r, err, scopes)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func (s *Server) authenticate(r *http.Request) (*Token, error) {
	raw, err := bearerToken(r)
	if err != nil {
		return nil, err
	}
	return s.VerifyToken(r.Context(), raw)
}

// InsufficientScope answers a request with 403 and a challenge for the scopes
// (RFC 6750 §3.1): for a handler that finds out itself what an operation needs,
// and that Allows says no to. Name all scopes of the operation at once: clients
// ask the user again for each challenge.
func (s *Server) InsufficientScope(w http.ResponseWriter, r *http.Request, scopes ...string) {
	token, _ := FromContext(r.Context())
	s.refuse(w, r, tooFew(token, scopes), scopes)
}

func tooFew(t *Token, needed []string) error {
	if t == nil {
		return fmt.Errorf("%w: %q needed", ErrInsufficientScope, needed)
	}
	return fmt.Errorf("%w: %q needed, the token has %q", ErrInsufficientScope, needed, t.Scopes)
}

// ReadJSON decodes the body of r, one JSON object of at most MaxBody bytes, into
// what v points to, a struct or a map. It refuses what two programs could read in
// two ways: repeated names, names that differ from a field's only in case,
// invalid UTF-8, text behind the object. An error wraps ErrInvalidRequest.
func ReadJSON(r *http.Request, v any) error {
	data, err := readBody(r)
	if err != nil {
		return err
	}
	if err := strictjson.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidRequest, err)
	}
	return nil
}

// readBody reads at most MaxBody bytes.
func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, malformed("no body")
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	var limit *http.MaxBytesError // of a http.MaxBytesReader further out
	if len(data) > MaxBody || errors.As(err, &limit) {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, malformed("a body that cannot be read")
	}
	return data, nil
}

// recorder keeps what is read of a body, up to MaxBody bytes.
type recorder struct {
	body io.ReadCloser
	read []byte
	over bool
}

func (c *recorder) Read(p []byte) (int, error) {
	n, err := c.body.Read(p[:min(len(p), MaxBody+1-len(c.read))])
	c.read = append(c.read, p[:n]...)
	if len(c.read) > MaxBody {
		c.over = true
		return 0, errTooLarge
	}
	return n, err
}

// Close does nothing: the handler reads the body once more.
func (c *recorder) Close() error { return nil }

// cors sets the headers that let a page of another origin read the answer, and
// answers preflight requests and those of origins that are not configured. It
// reports whether the request goes on.
func (s *Server) cors(w http.ResponseWriter, r *http.Request) bool {
	h := w.Header()
	allow := "*"
	if len(s.cfg.Origins) > 0 {
		h.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		if allow = origin; origin != "" && !slices.Contains(s.cfg.Origins, origin) {
			s.refuse(w, r, errOrigin, nil)
			return false
		}
	}
	if allow != "" {
		values := []string{allow, "WWW-Authenticate, Retry-After, DPoP-Nonce, Mcp-Session-Id"} // one allocation, not two
		h["Access-Control-Allow-Origin"], h["Access-Control-Expose-Headers"] = values[:1:1], values[1:]
	}
	if r.Method != http.MethodOptions || r.Header.Get("Origin") == "" || r.Header.Get("Access-Control-Request-Method") == "" {
		return true
	}
	preflight(h)
	w.WriteHeader(http.StatusNoContent)
	return false
}

// allowedHeaders are named because a wildcard does not stand for Authorization;
// the others are those of MCP clients, for browsers that know no wildcard.
var allowedHeaders = strings.Join([]string{"Authorization", "Content-Type", "Accept", "DPoP", "Last-Event-ID",
	"MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Session-Id", "*"}, ", ")

func preflight(h http.Header) {
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	h.Set("Access-Control-Allow-Headers", allowedHeaders)
	h.Set("Access-Control-Max-Age", "7200")
}
