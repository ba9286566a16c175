package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-e797c9ce/oauth/internal/strictjson"
)

const (
	checkTimeout = time.Minute      // of a whole check
	checkRequest = 10 * time.Second // of one request
	checkBody    = 1 << 20          // bytes read of an answer
	checkQuote   = 200              // bytes of an answer that are quoted
	checkOrigin  = "https://client.example"
)

// Check looks at the provider from outside, over its public URL, as clients do,
// and says in plain words what they would trip over: well-known documents that
// are not routed to it, an issuer that differs, CORS headers that a proxy drops,
// a key that is not published, a sign-in page that is not there, clocks that
// differ. Call it once after start, when the provider is reachable, and log what
// it finds: nothing depends on it. It takes a minute at most, and its requests to
// the authorization and token endpoints are reported as refused ones, with the
// client ID "oauth-check", and logged at debug level.
//
// client makes the requests; nil: one of its own. Redirects are not followed.
// The error joins the findings, each an error without secrets that
// errors.Join's Unwrap yields; nil: nothing was found.
func (p *Provider) Check(ctx context.Context, client *http.Client) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	own := http.Client{}
	if client != nil {
		own = *client
	} else if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t = t.Clone()
		defer t.CloseIdleConnections() // a server that ends would wait for them
		own.Transport = t
	}
	own.Jar = nil
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c := &checkup{ctx: ctx, p: p, client: &own}
	c.settings()
	c.metadata()
	c.keys()
	c.endpoints()
	c.resources()
	return errors.Join(c.found...)
}

// checkup is one run of Check.
type checkup struct {
	ctx    context.Context
	p      *Provider
	client *http.Client
	found  []error
	dead   bool // the host cannot be reached: nothing more is asked
}

// say adds a finding, once: what one request shows, a second one to the same
// place often shows again.
func (c *checkup) say(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	if !slices.ContainsFunc(c.found, func(e error) bool { return e.Error() == err.Error() }) {
		c.found = append(c.found, err)
	}
}

// answer is what came back, or its beginning.
type answer struct {
	status int
	header http.Header
	body   []byte
	taken  time.Duration
}

// ask makes one request. It returns nil when the host cannot be reached, which
// is said once.
func (c *checkup) ask(method, at string, header map[string]string, body string) *answer {
	if c.dead {
		return nil
	}
	a, err := c.try(method, at, header, body)
	if err != nil {
		c.dead = true
		c.say("%s cannot be reached: %w", at, err)
	}
	return a
}

func (c *checkup) try(method, at string, header map[string]string, body string) (*answer, error) {
	ctx, cancel := context.WithTimeout(c.ctx, checkRequest)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Origin", checkOrigin)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	start := time.Now()
	res, err := c.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, checkBody))
	if err != nil {
		return nil, err
	}
	return &answer{status: res.StatusCode, header: res.Header, body: text, taken: time.Since(start)}, nil
}

// served says what is wrong with an answer that does not come from where it
// should; handler names what should be routed there.
func (c *checkup) served(at string, a *answer, handler string) bool {
	switch {
	case a.status >= 300 && a.status < 400:
		c.say("%s redirects to %s: clients do not follow that; serve it there itself", at, quote(a.header.Get("Location")))
	case a.status == http.StatusNotFound:
		c.say("%s is not found: route this path, at the root of the host and with nothing stripped from it, to %s", at, handler)
	case a.status == http.StatusMethodNotAllowed:
		c.say("%s refuses the method: route every method of this path to %s, OPTIONS among them", at, handler)
	case a.status == http.StatusBadGateway || a.status == http.StatusGatewayTimeout:
		c.say("%s answers %d: the proxy does not reach %s", at, a.status, handler)
	case a.status >= 500:
		c.say("%s answers %d: the server has an outage, see its log", at, a.status)
	default:
		return true
	}
	return false
}

// document reads a public JSON document into v, and checks what every client
// needs of it. It reports whether there is something to look at in v.
func (c *checkup) document(at, handler string, v any) bool {
	a := c.ask(http.MethodGet, at, map[string]string{"Accept": "application/json"}, "")
	if a == nil || !c.served(at, a, handler) {
		return false
	}
	switch {
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		c.say("%s answers %d: it must be public; take it out of what asks for a sign-in", at, a.status)
		return false
	case a.status != http.StatusOK:
		c.say("%s answers %d instead of 200", at, a.status)
		return false
	case !c.isJSON(at, a, handler):
		return false
	}
	if err := strictjson.Unmarshal(a.body, v); err != nil {
		c.say("%s is not the JSON that it should be: %w", at, err)
		return false
	}
	c.readable(at, a)
	return true
}

func (c *checkup) isJSON(at string, a *answer, handler string) bool {
	kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	if kind == "application/json" {
		return true
	}
	c.say("%s answers with %s instead of application/json: a page of the app or the proxy stands there; route the path to %s", at, quote(kind), handler)
	return false
}

// readable checks that programs in web pages may read the answer.
func (c *checkup) readable(at string, a *answer) bool {
	switch allowed := a.header.Values("Access-Control-Allow-Origin"); {
	case len(allowed) == 1 && allowed[0] == "*":
		return true
	case len(allowed) == 0:
		c.say("%s has no Access-Control-Allow-Origin: clients in web pages cannot read it; a proxy drops the header", at)
	case len(allowed) > 1 || strings.Contains(allowed[0], ","):
		c.say("%s has Access-Control-Allow-Origin twice, which browsers refuse: let the proxy not add its own", at)
	default:
		c.say("%s has the Access-Control-Allow-Origin %s instead of *: let the proxy leave it alone", at, quote(allowed[0]))
	}
	return false
}

// preflight asks what a browser asks before a web page may call.
func (c *checkup) preflight(at, method, handler string) {
	a := c.ask(http.MethodOptions, at, map[string]string{
		"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization,content-type,mcp-protocol-version",
	}, "")
	if a == nil || !c.served(at, a, handler) {
		return
	}
	if a.status >= 300 {
		c.say("%s answers OPTIONS with %d: browsers do not let web pages call it; route OPTIONS to %s", at, a.status, handler)
		return
	}
	if !c.readable(at+" (OPTIONS)", a) {
		return
	}
	for _, need := range [][2]string{{"Access-Control-Allow-Methods", method}, {"Access-Control-Allow-Headers", "Authorization"}} {
		if allowed := strings.Join(a.header.Values(need[0]), ","); !strings.Contains(strings.ToLower(allowed), strings.ToLower(need[1])) {
			c.say("%s answers OPTIONS without %s in %s: let the proxy leave that header alone", at, need[1], need[0])
		}
	}
}

// quote is a short form of what somebody else wrote.
func quote(s string) string {
	if len(s) > checkQuote {
		s = s[:checkQuote] + "…"
	}
	return fmt.Sprintf("%q", s)
}
