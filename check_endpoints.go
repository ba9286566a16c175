package oauth

import (
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/http"
	"strings"
	"time"
)

const (
	checkClient = "oauth-check" // who the requests of a check say they are from; nobody can register it by chance
	maxSkew     = 30 * time.Second
)

// endpoints looks at what browsers and clients call.
func (c *checkup) endpoints() {
	p := c.p
	c.authorize(p.origin + p.paths.authorize)
	c.signIn()
	c.token(p.origin + p.paths.token)
	c.preflight(p.origin+p.paths.token, http.MethodPost, ofProvider)
	c.preflight(p.origin+p.paths.revoke, http.MethodPost, ofProvider)
	c.preflight(p.origin+p.paths.introspect, http.MethodPost, ofProvider)
	for _, e := range p.reg.endpoints {
		c.preflight(p.origin+p.base+e.path, http.MethodPost, ofProvider)
	}
	for _, h := range p.reg.handlers {
		if at := p.origin + p.handlerPath(h.path); h.name != "" {
			if a := c.ask(http.MethodOptions, at, nil, ""); a != nil && a.status == http.StatusNotFound {
				c.served(at, a, ofProvider)
			}
		}
	}
}

// authorize sends a request that the provider answers with an error page of its
// own, not with a redirect.
func (c *checkup) authorize(at string) {
	a := c.ask(http.MethodGet, at+"?client_id="+checkClient, map[string]string{"Accept": "text/html"}, "")
	if a == nil {
		return
	}
	if a.status >= 300 && a.status < 400 {
		c.say("%s redirects to %s before the provider sees the request: take it out of what asks for a sign-in; the provider does that itself", at, quote(a.header.Get("Location")))
		return
	}
	if !c.served(at, a, ofProvider) {
		return
	}
	if kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type")); a.status != http.StatusBadRequest || kind != "text/html" {
		c.say("%s answers a wrong request with %d and %s instead of the provider's error page: route it to %s", at, a.status, quote(kind), ofProvider)
		return
	}
	if a.header.Get("Content-Security-Policy") == "" {
		c.say("%s has no Content-Security-Policy: a proxy drops it, and the consent page can be framed by other sites", at)
	}
}

// signIn looks whether there is a page where people are sent to sign in, if it is
// on the provider's own host.
func (c *checkup) signIn() {
	page := c.p.cfg.LoginURL
	if !strings.HasPrefix(page, "/") || c.p.cfg.Interact != nil {
		return
	}
	a := c.ask(http.MethodGet, c.p.origin+page, map[string]string{"Accept": "text/html"}, "")
	if a != nil && (a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed) {
		c.say("%s answers GET with %d: browsers are sent there to sign in (Config.LoginURL)", c.p.origin+page, a.status)
	}
}

// token sends a client that nobody knows, and expects to be told so.
func (c *checkup) token(at string) {
	sent := time.Now()
	a := c.ask(http.MethodPost, at, map[string]string{
		"Content-Type":  "application/x-www-form-urlencoded",
		"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(checkClient+":"+randomText(32))),
	}, "grant_type=client_credentials")
	if a == nil || !c.served(at, a, ofProvider) || !c.isJSON(at, a, ofProvider) {
		return
	}
	var got struct {
		Error ErrorCode `json:"error"`
	}
	if err := json.Unmarshal(a.body, &got); err != nil || got.Error == "" {
		c.say("%s answers a wrong request with %d and no error in JSON (RFC 6749, section 5.2): clients cannot tell what is wrong", at, a.status)
		return
	}
	switch {
	case got.Error == ErrInvalidClient && !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic"):
		c.say("%s does not see the Authorization header, or a proxy drops WWW-Authenticate: let the proxy pass both on; clients with client_secret_basic fail", at)
	case got.Error != ErrInvalidClient:
		c.say("%s answers an unknown client with %s instead of invalid_client: a proxy changes the request", at, quote(string(got.Error)))
	case a.status != http.StatusUnauthorized:
		c.say("%s answers invalid_client with %d instead of 401: a proxy changes the status", at, a.status)
	}
	if !strings.Contains(a.header.Get("Cache-Control"), "no-store") {
		c.say("%s has no Cache-Control: no-store: a proxy drops it, and tokens could be kept by caches", at)
	}
	c.readable(at, a)
	c.clock(at, sent, a)
}

// clock compares the clock of the host with this one.
func (c *checkup) clock(at string, sent time.Time, a *answer) {
	theirs, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		return
	}
	skew := theirs.Sub(sent.Add(a.taken / 2)).Round(time.Second)
	if skew.Abs() > maxSkew {
		c.say("the clock of %s and this one differ by %v: tokens are refused as expired, or as not valid yet; keep both in time (NTP)", at, skew.Abs())
	}
}
