package oauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxForm   = 64 << 10 // bytes of a form
	usualForm = 2 << 10
	maxParams = 100 // parameters in one
)

// endpoint is the one path of every back-channel request: read the form,
// authenticate the client, let f answer, write JSON.
func (p *Provider) endpoint(f endpointFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		setAll(h, "Cache-Control", "no-store", "X-Content-Type-Options", "nosniff",
			"Access-Control-Allow-Origin", "*", "Access-Control-Expose-Headers", exposedHeaders)
		switch r.Method {
		case http.MethodPost:
		case http.MethodOptions:
			preflight(w, "POST")
			return
		default:
			h.Set("Allow", "POST, OPTIONS")
			writeError(w, p.refused(r.Context(), Event{}, &Error{Code: ErrInvalidRequest, Description: "the method must be POST", Status: http.StatusMethodNotAllowed}))
			return
		}
		form, e := readForm(w, r)
		if e != nil {
			writeError(w, p.refused(r.Context(), Event{}, e))
			return
		}
		var result any
		client, err := p.authenticateRequest(r.Context(), r, form)
		if err == nil {
			result, err = f(r.Context(), &ClientRequest{Client: client, Form: form, TLS: r.TLS})
		}
		if err != nil {
			if errors.Is(err, ErrInvalidClient) && r.Header.Get("Authorization") != "" {
				h.Set("WWW-Authenticate", `Basic realm="oauth"`)
			}
			writeError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, result)
	})
}

// allowOrigins lets programs in any web page call: they authenticate by what
// they send, never by a cookie.
func allowOrigins(h http.Header) {
	setAll(h, "Access-Control-Allow-Origin", "*", "Access-Control-Expose-Headers", exposedHeaders)
}

const exposedHeaders = "WWW-Authenticate, DPoP-Nonce, Retry-After"

// setAll sets headers, given by canonical name and value in turn, in one
// allocation instead of one for each.
func setAll(h http.Header, pairs ...string) {
	values := make([]string, len(pairs)/2)
	for i := range values {
		values[i] = pairs[2*i+1]
		h[pairs[2*i]] = values[i : i+1 : i+1]
	}
}

func preflight(w http.ResponseWriter, methods string) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", methods)
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id")
	h.Set("Access-Control-Max-Age", "3600")
	w.WriteHeader(http.StatusNoContent)
}

// queryCredentials must not be in a URL, where logs and histories keep them
// (OAuth 2.1 §2.4.1). Other parameters in the query are not read.
var queryCredentials = []string{"client_secret", "client_assertion", "code", "code_verifier", "refresh_token", "token", "access_token", "assertion", "password"}

// readForm reads a form strictly: one value per parameter, but for resource;
// empty values count as absent (OAuth 2.1 §3.2).
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, *Error) {
	if r.URL.RawQuery != "" {
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil || slices.ContainsFunc(queryCredentials, query.Has) {
			return nil, errorf(ErrInvalidRequest, "parameters belong in the body, not in the URL")
		}
	}
	// Header names are canonical as they come: no need to make them so again.
	if strings.Join(r.Header["Content-Encoding"], "") != "" {
		return nil, &Error{Code: ErrInvalidRequest, Description: "Content-Encoding is not supported", Status: http.StatusUnsupportedMediaType}
	}
	if types := r.Header["Content-Type"]; len(types) != 1 || !isForm(types[0]) {
		return nil, errorf(ErrInvalidRequest, "Content-Type must be application/x-www-form-urlencoded")
	}
	// Content-Length is what a stranger says: it makes room for a usual form.
	body := bytes.NewBuffer(make([]byte, 0, min(max(r.ContentLength, 0), usualForm)+bytes.MinRead))
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxForm)); err != nil {
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			return nil, &Error{Code: ErrInvalidRequest, Description: "the body is too large", Status: http.StatusRequestEntityTooLarge}
		}
		return nil, errorf(ErrInvalidRequest, "the body cannot be read").because("%w", err)
	}
	if body.Len() == 0 && r.ContentLength > 0 {
		return nil, &Error{
			Code: ErrServerError, Description: "the server did not get the form", Status: http.StatusInternalServerError,
			Err: errors.New("a middleware has read the body: let it leave the provider's paths alone"),
		}
	}
	return parseForm(body.String())
}

func isForm(contentType string) bool {
	const form = "application/x-www-form-urlencoded"
	if contentType == form {
		return true
	}
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == form
}

func parseForm(body string) (url.Values, *Error) {
	if strings.Count(body, "&") >= maxParams {
		return nil, errorf(ErrInvalidRequest, "too many parameters")
	}
	form, err := url.ParseQuery(body)
	if err != nil {
		return nil, errorf(ErrInvalidRequest, "the form is not well encoded")
	}
	for name, values := range form {
		for _, v := range values {
			if !utf8.ValidString(name) || !utf8.ValidString(v) || strings.IndexByte(name, 0) >= 0 || strings.IndexByte(v, 0) >= 0 {
				return nil, errorf(ErrInvalidRequest, "the form must be UTF-8 text")
			}
		}
		if slices.Contains(values, "") {
			values = slices.DeleteFunc(values, func(v string) bool { return v == "" })
			form[name] = values
		}
		if len(values) == 0 {
			delete(form, name)
		}
		if len(values) > 1 && name != "resource" {
			return nil, errorf(ErrInvalidRequest, "a parameter is repeated").because("%s", paramName(name))
		}
	}
	return form, nil
}

// paramName is the name of a parameter for the log, if it looks like one: what
// else a stranger writes there stays out of it.
func paramName(name string) string {
	if len(name) > 40 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "one without a plain name"
	}
	return name
}

// writeJSON answers with a value; nil is an empty body.
func writeJSON(w http.ResponseWriter, status int, v any) {
	if v == nil {
		w.WriteHeader(status)
		return
	}
	body, err := marshal(v)
	if err != nil {
		writeError(w, outage("encode", err))
		return
	}
	setAll(w.Header(), "Content-Type", "application/json", "Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body) // an error means that the client has gone
}

// marshal is json.Marshal, but for what is answered most.
func marshal(v any) ([]byte, error) {
	switch v := v.(type) {
	case *TokenResponse:
		return v.MarshalJSON() // json.Marshal would check and copy it once more
	case *Introspection:
		return v.appendJSON(make([]byte, 0, 512))
	}
	return json.Marshal(v)
}

// writeError answers with an OAuth error (RFC 6749 §5.2).
func writeError(w http.ResponseWriter, err error) {
	e := asError(err)
	if e.status() == http.StatusServiceUnavailable || e.status() == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "2")
	}
	writeJSON(w, e.status(), struct {
		Error       ErrorCode `json:"error"`
		Description string    `json:"error_description,omitempty"`
		URI         string    `json:"error_uri,omitempty"`
	}{e.Code, e.Description, e.URI})
}
