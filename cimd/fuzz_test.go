package cimd

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/store"
)

// What passes as an ID has one form, a named public host and a path.
func FuzzParseID(f *testing.F) {
	for _, seed := range []string{"https://app.example/c", "https://app.example:443/c?q", "https://127.0.0.1/c", "https://a.b/%2e%2e/c", "https://u@a.b/c#", "https://%c3%a9.example/c"} {
		f.Add(seed)
	}
	s := &source{cfg: Config{}.withDefaults(), ownHost: "auth.example"}
	f.Fuzz(func(t *testing.T, id string) {
		u, ok := s.parseID(id)
		if !ok {
			return
		}
		host := u.Hostname()
		if u.Scheme != "https" || u.User != nil || u.Fragment != "" || len(u.Path) < 2 || !strings.HasPrefix(u.Path, "/") ||
			host != strings.ToLower(host) || !strings.Contains(host, ".") || host == s.ownHost || u.Port() != "" && u.Port() != "443" && strings.TrimLeft(u.Port(), "0") != "443" {
			t.Fatalf("%q", id)
		}
		if !strings.HasPrefix(id, "https://"+u.Host+"/") {
			t.Fatalf("%q has another form: %q", id, u.Host)
		}
	})
}

// FuzzDocument: what passes as a document gives a client that is no more than a
// stranger, that every reader of JSON would read the same way, and that a user
// can be asked about.
func FuzzDocument(f *testing.F) {
	const id, start = "https://app.example/client.json", `{"client_id":"https://app.example/client.json","client_name":"App","redirect_uris":["https://app.example/cb"]`
	for _, more := range []string{
		`}`, `,"scope":"read admin","grant_types":["refresh_token"]}`, `,"token_endpoint_auth_method":"none","client_uri":"https://app.example/\u003cb\u003e"}`,
		`,"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://app.example/jwks","contacts":["\u0000"]}`,
		`,"token_endpoint_auth_methods_supported":["none","private_key_jwt"],"jwks":{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}}`,
		`,"grant_types":["refresh_token"],"response_types":["token"]}`, `,"Client_Id":"x"}`, `,"client_secret":null}`, `,"jwks":null,"application_type":"web"} {}`,
	} {
		f.Add([]byte(start + more))
	}
	f.Add([]byte(`{"client_id":"https://app.example/client.json","client_name":"<b>","redirect_uris":["https://app.example/cb","javascript:x","http://localhost:1/cb?a=%zz","com.example:/cb","https://a@b/"]}`))
	f.Add([]byte(`{"client_id":"https://app.example/other.json","client_name":"App","redirect_uris":["https://app.example/cb"]}`))
	f.Add([]byte(`[]`))
	cfg := Config{Scopes: []string{"read", "write"}, HTTPClient: http.DefaultClient}.withDefaults()
	s := &source{cfg: cfg, ownHost: "auth.example", cache: newCache(), pinned: map[string]func() *oauth.Client{}}
	p, err := oauth.New(oauth.Config{
		Issuer: "https://auth.example", Store: store.NewMemory(), LoginURL: "/login",
		Session: func(*http.Request) (oauth.Session, error) { return oauth.Session{Subject: "alice"}, nil },
		Scopes:  map[string]string{"read": "", "write": "", "admin": ""}, Secret: make([]byte, 32), Policy: oauth.Policy{BcryptCost: 4},
		Logger: slog.New(slog.DiscardHandler),
		Extensions: []oauth.Extension{func(r *oauth.Registry) error {
			s.reg = r
			r.OnRequest(s.onRequest)
			r.ClientSource(s.client)
			return nil
		}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := s.parse(id, body, true)
		if err != nil {
			if !errors.Is(err, errDocument) {
				t.Fatal(err)
			}
			return
		}
		if c.ID != id || c.Trust != store.TrustDocument || c.FirstParty || !slices.Equal(c.Scopes, cfg.Scopes) || len(c.Secrets) > 0 || c.Public != (c.AuthMethod == "none") {
			t.Fatalf("%+v", c)
		}
		if keys, err := jose.ParseJWKS(c.JWKS); !c.Public && c.JWKSURI == "" && (err != nil || len(keys) == 0) || c.Public && (c.JWKS != nil || c.JWKSURI != "") {
			t.Fatalf("keys of %+v", c)
		}
		for _, link := range []string{c.URI, c.LogoURI, c.PolicyURI, c.TOSURI, c.JWKSURI} {
			if link != "" && !strings.HasPrefix(strings.ToLower(link), "https://") {
				t.Fatalf("link %q", link)
			}
		}
		var same struct {
			ID   string   `json:"client_id"`
			Name string   `json:"client_name"`
			URIs []string `json:"redirect_uris"`
		}
		if err := json.Unmarshal(body, &same); err != nil || same.ID != id || same.Name != c.Name {
			t.Fatalf("%v: %+v", err, same)
		}
		if len(c.GrantTypes) == 0 { // it can only be looked at
			return
		}
		s.pinned[id] = func() *oauth.Client { return c }
		for _, uri := range c.RedirectURIs {
			u, err := url.Parse(uri)
			if !slices.Contains(same.URIs, uri) || err != nil || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, u.Hostname())) {
				t.Fatalf("the client may be answered at %q: %s", uri, body)
			}
			query := url.Values{"client_id": {id}, "redirect_uri": {uri}, "response_type": {"code"}, "code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"}}
			w := httptest.NewRecorder()
			p.ServeHTTP(w, httptest.NewRequest("GET", "/oauth/authorize?"+query.Encode(), nil))
			code := slices.Contains(c.GrantTypes, "authorization_code")
			if shown := w.Code == 200 && strings.Contains(w.Body.String(), `name="interaction"`); w.Code >= 500 || shown != code {
				t.Fatalf("%d for %q: %s", w.Code, uri, w.Body)
			}
		}
	})
}

// FuzzAge: whatever the headers say, a document is used for a time within the
// bounds. What says that it is older, or not to be kept, never prolongs that, and
// of two lifetimes the first counts (RFC 9111 §4.2.1).
func FuzzAge(f *testing.F) {
	f.Add("public, max-age=600", "", "", "300")
	f.Add("max-age=1e12", "", "", "4294967295")
	f.Add("", "Mon, 02 Jan 2026 17:00:00 GMT", "Mon, 02 Jan 2026 15:00:00 GMT", "1")
	f.Add("", "Mon, 02 Jan 1600 17:00:00 GMT", "Mon, 02 Jan 2026 15:00:00 GMT", "1")
	f.Add(`private="a, max-age=5", MAX-AGE="7"`, "0", "", "-1")
	f.Add("max-age=\nno-cache", "", "", "x")
	const low, high = time.Minute, 24 * time.Hour
	f.Fuzz(func(t *testing.T, control, expires, date, since string) {
		life := func(control, since string) time.Duration {
			h := http.Header{"Expires": {expires}, "Date": {date}, "Age": {since}}
			if control != "" {
				h["Cache-Control"] = strings.Split(control, "\n")
			}
			d := age(h, low, high)
			if d < low || d > high {
				t.Fatalf("%v of %v", d, h)
			}
			return d
		}
		d, fresh := life(control, since), life(control, "")
		if older := life(control, since+"0"); since != "" && strings.Trim(since, "0123456789") == "" && (older > d || d > fresh) {
			t.Fatalf("%v without Age, %v at %s, %v at ten times that", fresh, d, since, older)
		}
		for _, never := range []string{"no-store", "no-cache=x", "max-age=-1"} {
			if d := life(never+","+control, since); d != low {
				t.Fatalf("%v of %s, %s", d, never, control)
			}
		}
		if d := life("max-age=600,"+control, ""); d > 10*time.Minute {
			t.Fatalf("%v of max-age=600 and %s", d, control)
		}
	})
}
