package resource

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// bearerToken finds the token of a request (RFC 6750 §2). Only the Authorization
// header is looked at; a token that is also, or only, in the query or in a form
// is an error, for there it ends up in logs, or in what a page can forge (OAuth
// 2.1 §5.1.1). Errors wrap ErrNoToken or ErrInvalidRequest.
func bearerToken(r *http.Request) (string, error) {
	values := r.Header["Authorization"] // as it comes, names are canonical
	if len(values) > 1 {
		return "", malformed("more than one Authorization header")
	}
	if inQuery(r.URL.RawQuery) {
		return "", malformed("an access token in the query")
	}
	if err := refuseTokenInForm(r); err != nil {
		return "", err
	}
	if len(values) == 0 {
		return "", ErrNoToken
	}
	return parseAuthorization(values[0])
}

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrInvalidRequest, what) }

// parseAuthorization reads "Bearer" 1*SP token68, the scheme in any case (RFC
// 9110 §11.1, §11.2). Another scheme is no token.
func parseAuthorization(value string) (string, error) {
	scheme, token, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", ErrNoToken
	}
	token = strings.TrimLeft(token, " ")
	if !token68(token) {
		return "", malformed("an Authorization header that is not Bearer and one token")
	}
	return token, nil
}

// token68 of RFC 9110 §11.2; one look, without a branch, at each byte of what
// can be long.
func token68(s string) bool {
	trimmed := strings.TrimRight(s, "=")
	var wrong byte
	for i := 0; i < len(trimmed); i++ {
		wrong |= notToken68[trimmed[i]]
	}
	return wrong == 0 && trimmed != ""
}

// notToken68 is 1 for each byte that a token68 does not begin with.
var notToken68 = func() (table [256]byte) {
	for b := range table {
		if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/", rune(b)) {
			table[b] = 1
		}
	}
	return table
}()

// inQuery reports whether a parameter is called access_token, in any spelling.
func inQuery(query string) bool {
	for pair := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
		name, _, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(name); err == nil && name == "access_token" {
			return true
		}
	}
	return false
}

// maxForm is how much of a form is searched for a token, in bytes.
const maxForm = 64 << 10

// refuseTokenInForm looks at the beginning of a form and leaves the body as it
// was.
func refuseTokenInForm(r *http.Request) error {
	if r.Body == nil {
		return nil
	}
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "application/x-www-form-urlencoded" {
		return nil
	}
	begin, err := io.ReadAll(io.LimitReader(r.Body, maxForm))
	r.Body = replay{io.MultiReader(bytes.NewReader(begin), r.Body), r.Body}
	if err != nil {
		return malformed("a body that cannot be read")
	}
	if inQuery(string(begin)) {
		return malformed("an access token in the body")
	}
	return nil
}

// replay is a body that begins with what was read of it before.
type replay struct {
	io.Reader
	io.Closer
}
