package resource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seed-e797c9ce/oauth/internal/strictjson"
)

// Bounds of what is asked of an authorization server.
const (
	fetchTimeout = 5 * time.Second
	maxDocument  = 256 << 10 // bytes
)

// remote asks an authorization server.
type remote struct{ client *http.Client }

// newRemote copies the client, nil for the default one, and keeps it from
// following redirects: what a URL on our configuration says is what is asked, and
// nothing it points to.
func newRemote(c *http.Client) remote {
	var own http.Client
	if c != nil {
		own = *c
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return remote{&own}
}

// statusError is an answer that is not 200.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("answered with status %d", int(e)) }

// do sends the request and reads a JSON answer. Errors name the host and nothing
// of what was sent or read.
func (m remote) do(r *http.Request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(r.Context(), fetchTimeout)
	defer cancel()
	r = r.WithContext(ctx)
	r.Header.Set("Accept", "application/json")
	res, err := m.client.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // url.Error has the URL, with its query
		}
		return nil, fmt.Errorf("resource: asking %s: %w", r.URL.Host, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		_, _ = io.CopyN(io.Discard, res.Body, 4<<10) // so that the connection can be used again
		return nil, fmt.Errorf("resource: %s %w", r.URL.Host, statusError(res.StatusCode))
	}
	if media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); media != "application/json" && !strings.HasSuffix(media, "+json") {
		return nil, fmt.Errorf("resource: %s did not answer with JSON", r.URL.Host)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("resource: reading from %s: %w", r.URL.Host, err)
	}
	if len(body) > maxDocument {
		return nil, fmt.Errorf("resource: %s answered with more than %d bytes", r.URL.Host, maxDocument)
	}
	return body, nil
}

// get asks past caches (RFC 9111 §5.2.1.4): how long keys are used is decided
// here, and whoever asks again wants what there is now.
func (m remote) get(ctx context.Context, u string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, errors.New("resource: not a URL")
	}
	r.Header.Set("Cache-Control", "no-cache")
	return m.do(r)
}

// serverMetadata is what is used of RFC 8414 §2.
type serverMetadata struct {
	Issuer        string `json:"issuer"`
	JWKS          string `json:"jwks_uri"`
	Introspection string `json:"introspection_endpoint"`
}

// discover reads the metadata of an authorization server, at the places of RFC
// 8414 §3.1 and OpenID Connect Discovery §4.1, one after the other. A place that
// has none is answered with 4xx; anything else ends the search, so that an
// outage does not send us to a document that somebody else may control.
func (m remote) discover(ctx context.Context, issuer string) (serverMetadata, error) {
	var md serverMetadata
	last := errors.New("its name is not a URL")
	for _, place := range wellKnowns(issuer) {
		body, err := m.get(ctx, place)
		var status statusError
		if errors.As(err, &status) && status >= 400 && status < 500 {
			last = err
			continue
		}
		if err != nil {
			return md, err
		}
		if err := strictjson.Unmarshal(body, &md); err != nil {
			return md, fmt.Errorf("resource: metadata of the issuer: %w", err)
		}
		if md.Issuer != issuer { // RFC 8414 §3.3
			return md, errors.New("resource: the issuer's metadata names another issuer")
		}
		return md, nil
	}
	return md, fmt.Errorf("resource: the issuer has no metadata: %w", last)
}

// wellKnowns lists where the metadata of an issuer can be.
func wellKnowns(issuer string) []string {
	const oauth, openid = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" {
		return nil
	}
	host := u.Scheme + "://" + u.Host
	path := u.EscapedPath()
	list := []string{host + oauth + path, host + openid + path}
	if path != "" {
		list = append(list, host+path+openid)
	}
	return list
}

// endpoint checks a URL that the metadata names: that of an issuer on https must
// not send us to http on this machine.
func (md serverMetadata) endpoint(name, u string) (string, error) {
	if _, err := parseURL(u); err != nil {
		return "", fmt.Errorf("resource: %s of the issuer's metadata %w", name, err)
	}
	if strings.HasPrefix(md.Issuer, "https:") && !strings.HasPrefix(u, "https:") {
		return "", fmt.Errorf("resource: %s of the issuer's metadata must be https", name)
	}
	return u, nil
}
