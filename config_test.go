package oauth_test

import (
	"html/template"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

func TestConfigErrorsComeAllAtOnce(t *testing.T) {
	_, err := oauth.New(oauth.Config{})
	require.Error(t, err)
	for _, want := range []string{"Config.Issuer", "Config.Store", "Config.Session", "Config.LoginURL"} {
		assert.ErrorContains(t, err, want)
	}
	assert.Equal(t, 4, strings.Count(err.Error(), "oauth: "))
}

func TestConfigIsJudged(t *testing.T) {
	own := func(text string) func(*oauth.Config) {
		return func(c *oauth.Config) { c.Templates = template.Must(template.New("").Parse(text)) }
	}
	base := func() oauth.Config { return (&fixture{store: store.NewMemory(), log: &syncBuffer{}}).config() }
	for want, changes := range map[string][]func(c *oauth.Config){
		"Config.Issuer": {
			func(c *oauth.Config) { c.Issuer = "http://auth.example" }, func(c *oauth.Config) { c.Issuer = issuer + "/" },
			func(c *oauth.Config) { c.Issuer = issuer + "?x" }, func(c *oauth.Config) { c.Issuer = issuer + "#" },
			func(c *oauth.Config) { c.Issuer = "https://u@auth.example" }, func(c *oauth.Config) { c.Issuer = "https://AUTH.example" },
			func(c *oauth.Config) { c.Issuer = issuer + "/%61" }, func(c *oauth.Config) { c.Issuer = issuer + "/{x}" },
			func(c *oauth.Config) { c.Issuer = "auth.example" }, func(c *oauth.Config) { c.Issuer = "ftp://auth.example" }, func(c *oauth.Config) { c.Issuer = "https://%zz" },
			func(c *oauth.Config) { c.Issuer = issuer + "/a//b" }, func(c *oauth.Config) { c.Issuer = issuer + "/a/../b" }, func(c *oauth.Config) { c.Issuer = issuer + "/\u00e9" },
			func(c *oauth.Config) { c.Issuer = "https://\u00e9.example" }, func(c *oauth.Config) { c.Issuer = "HTTPS://auth.example" }, func(c *oauth.Config) { c.Issuer = "https://auth.example:99999" },
		},
		"Config.LoginURL":           {func(c *oauth.Config) { c.LoginURL = "javascript:alert(1)" }, func(c *oauth.Config) { c.LoginURL = "login" }, func(c *oauth.Config) { c.LoginURL = "https://" }, func(c *oauth.Config) { c.LoginURL = "%zz" }},
		"LoginURL must be https":    {func(c *oauth.Config) { c.LoginURL = "http://app.example/login" }},
		"Config.Prefix":             {func(c *oauth.Config) { c.Prefix = "oauth" }, func(c *oauth.Config) { c.Prefix = "/{x}" }, func(c *oauth.Config) { c.Prefix = "//x" }, func(c *oauth.Config) { c.Prefix = "/a/../b" }, func(c *oauth.Config) { c.Prefix = "/." }, func(c *oauth.Config) { c.Prefix = "/a//b" }, func(c *oauth.Config) { c.Prefix = "/\u00e9" }, func(c *oauth.Config) { c.Prefix = "/a\\b" }, func(c *oauth.Config) { c.Prefix = "/%61" }},
		"Config.Scopes":             {func(c *oauth.Config) { c.Scopes["a b"] = "" }, func(c *oauth.Config) { c.Scopes[""] = "" }},
		"Config.Secret has 5 bytes": {func(c *oauth.Config) { c.Secret = []byte("short") }},
		"Config.Secret has 0 bytes": {func(c *oauth.Config) { c.Secret = []byte{} }},
		"Config.RetiredSecrets[0]":  {func(c *oauth.Config) { c.RetiredSecrets = [][]byte{[]byte("short")} }, func(c *oauth.Config) { c.RetiredSecrets = [][]byte{nil} }},
		"Config.RetiredSecrets":     {func(c *oauth.Config) { c.RetiredSecrets, c.Secret = [][]byte{c.Secret}, nil }},
		"Config.Resources[2]": {
			func(c *oauth.Config) { c.Resources = append(c.Resources, oauth.Resource{URI: "api"}) },
			func(c *oauth.Config) { c.Resources = append(c.Resources, oauth.Resource{URI: "https://x.example#f"}) },
			func(c *oauth.Config) { c.Resources = append(c.Resources, oauth.Resource{URI: "HTTPS://api.example/"}) },
			func(c *oauth.Config) {
				c.Resources = append(c.Resources, oauth.Resource{URI: "https://x.example", Scopes: []string{"nope"}})
			},
		},
		"lifetime":           {func(c *oauth.Config) { c.Policy.AccessTokenLifetime = -1 }, func(c *oauth.Config) { c.Policy.RefreshGrace = -2 }, func(c *oauth.Config) { c.Policy.MaxLifetime = -1 }},
		"less than a second": {func(c *oauth.Config) { c.Policy.AccessTokenLifetime = 3600 }, func(c *oauth.Config) { c.Policy.RefreshGrace = time.Second - 1 }},
		"CodeLifetime":       {func(c *oauth.Config) { c.Policy.CodeLifetime = 10*time.Minute + 1 }},
		"Policy.Keep":        {func(c *oauth.Config) { c.Policy.Keep = time.Minute }},
		"Policy.KeyLifetime": {func(c *oauth.Config) { c.Policy.KeyLifetime = time.Hour }},
		"Policy.BcryptCost":  {func(c *oauth.Config) { c.Policy.BcryptCost = 3 }, func(c *oauth.Config) { c.Policy.BcryptCost = 17 }},
		"Policy.SigningAlg":  {func(c *oauth.Config) { c.Policy.SigningAlg = "HS256" }, func(c *oauth.Config) { c.Policy.SigningAlg = "none" }},
		"PrivateUseSchemes": {
			func(c *oauth.Config) { c.Policy.PrivateUseSchemes = []string{"javascript"} }, func(c *oauth.Config) { c.Policy.PrivateUseSchemes = []string{"https"} },
			func(c *oauth.Config) { c.Policy.PrivateUseSchemes = []string{"Cursor"} }, func(c *oauth.Config) { c.Policy.PrivateUseSchemes = []string{""} },
		},
		`"consent" nor "error"; defined templates are: "consent.html"`: {
			func(c *oauth.Config) { c.Templates = template.Must(template.New("consent.html").Parse("x")) },
			func(c *oauth.Config) {
				c.Templates = template.Must(template.New("consent").New("consent.html").Parse("x")).Lookup("consent")
			},
		},
		"can't evaluate field Client in": {own(`{{define "consent"}}{{.Client.Name}}{{.Interaction}}{{end}}`)},
		"can't evaluate field Documnet":  {own(`{{define "consent"}}{{.Interaction}}{{if .Stranger}}{{.Documnet}}{{end}}{{end}}`)},
		"can't evaluate field Message":   {own(`{{define "error"}}{{.Message}}{{end}}`)},
		"non-text context":               {own(`{{define "consent"}}<a href="{{.Interaction}}{{end}}`)},
		`no Interaction`:                 {own(`{{define "consent"}}<form method="post" action="{{.Action}}"><button name="decision" value="allow">{{end}}`)},
		`no field named decision`:        {own(`{{define "consent"}}<form action="{{.Action}}"><input name="interaction" value="{{.Interaction}}">{{range .Scopes}}<input name="scope" value="{{.Name}}">{{end}}{{end}}`)},
		`no Scopes`:                      {own(`{{define "consent"}}<form action="{{.Action}}"><input name="interaction" value="{{.Interaction}}"><button name="decision" value="allow">{{end}}`)},

		"Extensions[0]": {func(c *oauth.Config) { c.Extensions = []oauth.Extension{nil} }},
	} {
		for i, change := range changes {
			cfg := base()
			change(&cfg)
			_, err := oauth.New(cfg)
			assert.ErrorContains(t, err, want, "%s %d", want, i)
		}
	}
	for _, good := range []string{"http://localhost:8080", "http://127.0.0.1:1", "http://[::1]:1", "https://auth.example/a/b", "https://auth.example/a!/b:c@d", "https://auth.example:8443"} {
		cfg := base()
		cfg.Issuer = good
		_, err := oauth.New(cfg)
		assert.NoError(t, err, good)
	}
	cfg := base()
	cfg.LoginURL = "http://localhost:3000/login" // while the app is developed, behind a tunnel
	_, err := oauth.New(cfg)
	assert.NoError(t, err)
}

func TestConfigIsFrozen(t *testing.T) {
	var cfg oauth.Config
	f := newFixture(t, func(c *oauth.Config) { cfg = *c })
	delete(cfg.Scopes, "read")
	cfg.Resources[0].URI = "https://evil.example"
	cfg.Resources[0].Introspectors[0] = "post"
	clear(cfg.Secret)
	got := f.login("conf", "scope", "read")
	_, claims := claimsOf(t, got.AccessToken)
	assert.Equal(t, []any{"read", apiURI}, []any{claims["scope"], claims["aud"]})
	assert.Equal(t, `{"active":false}`, f.post("/oauth/introspect", "post", map[string][]string{"token": {got.AccessToken}}).body)
}

func TestLoopbackIssuerHasAPlainCookie(t *testing.T) {
	f := newFixture(t, func(c *oauth.Config) { c.Issuer = "http://localhost:8080" })
	a := f.do(alice().request("GET", "/oauth/authorize?"+authorization("app").Encode(), nil))
	c := (&http.Response{Header: a.header}).Cookies()
	require.Len(t, c, 1)
	assert.Equal(t, "oauth-browser", c[0].Name)
	assert.False(t, c[0].Secure)
	assert.True(t, c[0].HttpOnly)
}
