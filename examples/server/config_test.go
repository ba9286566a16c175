package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/seed-e797c9ce/oauth"
)

func TestTheCommittedConfigIsReady(t *testing.T) {
	c, err := loadConfig("config.json")
	require.NoError(t, err)
	assert.Equal(t, "localhost:9000", c.loopbackAddr())
	assert.Equal(t, "memory", c.Store)
	var public, confidential int
	for _, x := range c.Clients {
		if x.AuthMethod == "none" {
			public++
		} else {
			confidential++
		}
	}
	assert.Positive(t, public)
	assert.Positive(t, confidential)
	assert.Len(t, c.Users, 2)
	assert.NotEmpty(t, c.Scopes)
	assert.NotEmpty(t, c.Resources)
}

func TestEveryKeyOfTheFile(t *testing.T) {
	c, err := parseConfig([]byte(`{
		"issuer": "http://127.0.0.1:1234", "store": "sqlite:x.db",
		"clients": [{"client_id": "a", "client_secret": "s", "client_name": "A", "token_endpoint_auth_method": "client_secret_post",
			"redirect_uris": ["https://a.example/cb"], "grant_types": ["authorization_code"], "response_types": ["code"],
			"scope": "r w", "application_type": "web", "client_uri": "https://a.example", "logo_uri": "https://a.example/l",
			"policy_uri": "https://a.example/p", "tos_uri": "https://a.example/t", "contacts": ["a@a.example"]}],
		"users": [{"subject": "u", "username": "n", "password": "p", "email": "e", "name": "N", "active": false}],
		"scopes": {"r": "Read", "w": "Write"}, "resources": [{"identifier": "https://api.example", "scopes": ["r"]}],
		"code_lifetime": 1, "access_token_lifetime": 2, "refresh_token_lifetime": 3, "refresh_grace": 4,
		"auto_login": "u", "auto_consent": true, "telemetry": "stderr"}`))
	require.NoError(t, err)
	assert.Equal(t, oauth.Policy{CodeLifetime: time.Second, AccessTokenLifetime: 2 * time.Second,
		RefreshTokenLifetime: 3 * time.Second, RefreshGrace: 4 * time.Second}, c.policy())
	assert.Equal(t, []oauth.Resource{{URI: "https://api.example", Scopes: []string{"r"}}}, c.resources())
	assert.False(t, c.users()[0].Active)
	assert.Equal(t, "e", c.users()[0].Email)
	assert.Equal(t, "u", c.AutoLogin)
	assert.True(t, c.AutoConsent)

	client, err := c.Clients[0].record([]string{"other"})
	require.NoError(t, err)
	require.Len(t, client.Secrets, 1)
	assert.NoError(t, bcrypt.CompareHashAndPassword([]byte(client.Secrets[0].Hash), []byte("s")))
	client.Secrets = nil
	assert.Equal(t, oauth.Client{ID: "a", Name: "A", AuthMethod: "client_secret_post", RedirectURIs: []string{"https://a.example/cb"},
		GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"}, Scopes: []string{"r", "w"}, Trust: "registered",
		ApplicationType: "web", URI: "https://a.example", LogoURI: "https://a.example/l", PolicyURI: "https://a.example/p",
		TOSURI: "https://a.example/t", Contacts: []string{"a@a.example"}}, client)
}

func TestWhatTheFileLeavesOut(t *testing.T) {
	c, err := parseConfig([]byte(`{"clients": [{"client_id": "a", "token_endpoint_auth_method": "none"}],
		"users": [{"subject": "u", "username": "n", "password": "p"}], "refresh_grace": 0}`))
	require.NoError(t, err)
	assert.Equal(t, "memory", c.Store)
	assert.True(t, c.users()[0].Active)
	assert.Equal(t, oauth.Policy{RefreshGrace: oauth.NoGrace}, c.policy(), "a grace of 0 is none")
	client, err := c.Clients[0].record([]string{"r"})
	require.NoError(t, err)
	assert.True(t, client.Public)
	assert.Empty(t, client.Secrets)
	assert.Equal(t, []string{"r"}, client.Scopes, "all scopes")
	assert.Equal(t, []string{"authorization_code", "refresh_token"}, client.GrantTypes)
	assert.Equal(t, []string{"code"}, client.ResponseTypes)
}

func TestConfigErrors(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":           {"{\n\"issuer\": oops}", "line 2"},
		"empty":             {"", "EOF"},
		"unknown key":       {"{\n\n\"isuer\": \"x\"}", `unknown field "isuer"`},
		"unknown, nested":   {`{"clients": [{"redirect_uri": "x"}]}`, `unknown field "redirect_uri"`},
		"wrong type":        {`{"code_lifetime": "10m"}`, "code_lifetime"},
		"more than one":     {`{} {}`, "something follows"},
		"client without ID": {`{"clients": [{"client_secret": "x"}]}`, "clients[0]: client_id"},
		"client twice":      {`{"clients": [{"client_id": "a", "client_secret": "x"}, {"client_id": "a", "client_secret": "x"}]}`, "clients[1]"},
		"no secret":         {`{"clients": [{"client_id": "a"}]}`, "client_secret is required"},
		"public and secret": {`{"clients": [{"client_id": "a", "client_secret": "x", "token_endpoint_auth_method": "none"}]}`, "has no client_secret"},
		"user without name": {`{"users": [{"subject": "a", "password": "b"}]}`, "users[0]"},
		"user twice":        {`{"users": [{"subject": "a", "username": "a", "password": "b"}, {"subject": "a", "username": "b", "password": "b"}]}`, "users[1]"},
		"negative":          {`{"access_token_lifetime": -1}`, "access_token_lifetime"},
		"negative grace":    {`{"refresh_grace": -1}`, "refresh_grace"},
		"overflow":          {`{"refresh_token_lifetime": 9223372036854775807}`, "refresh_token_lifetime"},
		"who is it":         {`{"issuer": "http://localhost", "auto_login": "u"}`, "auto_login"},
		"login anywhere":    {`{"issuer": "https://example.com", "users": [{"subject": "u", "username": "n", "password": "p"}], "auto_login": "u"}`, "loopback"},
		"consent anywhere":  {`{"issuer": "https://localhost.example.com", "auto_consent": true}`, "loopback"},
		"consent, no host":  {`{"auto_consent": true}`, "loopback"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseConfig([]byte(c.text))
			assert.ErrorContains(t, err, c.want)
		})
	}
}

func TestErrorsOfTheProviderReachTheOperator(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no issuer":     {`{}`, "-addr"},
		"http":          {`{"issuer": "http://example.com"}`, "must be https"},
		"redirect URI":  {`{"issuer": "http://localhost", "clients": [{"client_id": "a", "token_endpoint_auth_method": "none", "redirect_uris": ["http://example.com/cb"]}]}`, "clients[0]"},
		"unknown scope": {`{"issuer": "http://localhost", "resources": [{"identifier": "http://localhost/api", "scopes": ["x"]}]}`, "x"},
		"store":         {`{"issuer": "http://localhost", "store": "mongodb://x"}`, "store: must be memory"},
		"memory:x":      {`{"issuer": "http://localhost", "store": "memory:x"}`, "store: must be memory"},
		"sqlite":        {`{"issuer": "http://localhost", "store": "sqlite:"}`, "name of a file"},
		"mysql":         {`{"issuer": "http://localhost", "store": "mysql://u:hush@h"}`, "mysql://USER"},
		"long secret":   {`{"issuer": "http://localhost", "clients": [{"client_id": "a", "client_secret": "` + strings.Repeat("hush", 20) + `"}]}`, "clients[0]: client_secret"},
		"long file":     {`{"issuer": "` + strings.Repeat("x", maxConfig) + `"}`, "longer than 16777216 bytes"},
		"redis":         {`{"issuer": "http://localhost", "store": "redis://u:hush@h:x"}`, "redis://USER"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config.json")
			require.NoError(t, os.WriteFile(file, []byte(c.text), 0o600))
			addr := "127.0.0.1:0"
			if name == "no issuer" {
				addr = ""
			}
			err := run(t.Context(), file, addr, "", t.Output())
			assert.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "hush")
		})
	}
	assert.Error(t, run(t.Context(), "no-such-file.json", "", "", t.Output()))
	assert.Error(t, run(t.Context(), t.TempDir(), "", "", t.Output()), "a folder")
}

func TestItListensWhereALoopbackIssuerIs(t *testing.T) {
	for issuer, want := range map[string]string{
		"http://localhost:9000": "localhost:9000", "http://127.0.0.1": "127.0.0.1:80", "http://[::1]": "[::1]:80",
		"https://localhost:9000": "", "http://notes.example": "", "localhost:9000": "", "://": "",
	} {
		assert.Equal(t, want, (&config{Issuer: issuer}).loopbackAddr(), issuer)
	}
}

func TestTelemetryGoesWhereItCan(t *testing.T) {
	_, err := parseConfig([]byte(`{"telemetry": "elsewhere"}`))
	assert.ErrorContains(t, err, "telemetry: must be stderr")
}
