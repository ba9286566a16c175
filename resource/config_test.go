package resource_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/resource"
)

func TestNewReportsEverythingAtOnce(t *testing.T) {
	_, err := resource.New(resource.Config{})
	for _, part := range []string{"Config.Resource is required", "Config.Issuers is required", "Config.Verifier is required"} {
		assert.ErrorContains(t, err, part)
	}
	assert.Equal(t, 3, len(strings.Split(err.Error(), "\n")))
}

func TestConfigsThatAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*resource.Config)
		want   string
	}{
		"Resource relative":           {func(c *resource.Config) { c.Resource = "/mcp" }, "Config.Resource must be a URL"},
		"Resource without host":       {func(c *resource.Config) { c.Resource = "https:///mcp" }, "Config.Resource must be a URL"},
		"Resource a URN":              {func(c *resource.Config) { c.Resource = "urn:x:y" }, "Config.Resource must be a URL"},
		"Resource opaque":             {func(c *resource.Config) { c.Resource = "https:api.example" }, "Config.Resource must be a URL"},
		"Resource not a URL":          {func(c *resource.Config) { c.Resource = "https://api.example/\x7f" }, "Config.Resource must be a URL"},
		"Resource http":               {func(c *resource.Config) { c.Resource = "http://api.example/mcp" }, "must be https"},
		"Resource http, nearly local": {func(c *resource.Config) { c.Resource = "http://127.0.0.1.evil.example/" }, "must be https"},
		"Resource ftp":                {func(c *resource.Config) { c.Resource = "ftp://api.example/mcp" }, "must be https"},
		"Resource with a fragment":    {func(c *resource.Config) { c.Resource += "#x" }, "no fragment"},
		"Resource with empty one":     {func(c *resource.Config) { c.Resource += "#" }, "no fragment"},
		"Resource with a user":        {func(c *resource.Config) { c.Resource = "https://u@api.example/" }, "no user"},
		"Resource host in capitals":   {func(c *resource.Config) { c.Resource = "https://API.example/" }, "written plainly"},
		"Resource scheme in capitals": {func(c *resource.Config) { c.Resource = "HTTPS://api.example/" }, "written plainly"},
		"Resource with a space":       {func(c *resource.Config) { c.Resource += "/a b" }, "written plainly"},
		"Resource with braces":        {func(c *resource.Config) { c.Resource += "/{x}" }, "written plainly"},
		"Resource with a quote":       {func(c *resource.Config) { c.Resource += `?a="b` }, "written plainly"},
		"Resource with a backslash":   {func(c *resource.Config) { c.Resource += `?a=\` }, "written plainly"},
		"Resource not ASCII":          {func(c *resource.Config) { c.Resource += "?a=é" }, "written plainly"},
		"Resource with an empty port": {func(c *resource.Config) { c.Resource = "https://api.example:/" }, "written plainly"},
		"Resource host with escapes":  {func(c *resource.Config) { c.Resource = "https://a%25b.example/" }, "written plainly"},
		"Resource with a zone":        {func(c *resource.Config) { c.Resource = "https://[fe80::1%25en0]/" }, "written plainly"},
		"Resource with space behind":  {func(c *resource.Config) { c.Resource += "?a= " }, "written plainly"},
		"Resource with ..":            {func(c *resource.Config) { c.Resource += "/../x" }, "without empty, . and .."},
		"Resource with //":            {func(c *resource.Config) { c.Resource += "//x" }, "without empty, . and .."},
		"Resource ends in //":         {func(c *resource.Config) { c.Resource += "//" }, "without empty, . and .."},
		"Resource of slashes":         {func(c *resource.Config) { c.Resource = "https://api.example//" }, "without empty, . and .."},
		"Issuer http":                 {func(c *resource.Config) { c.Issuers[0] = "http://login.example" }, "Config.Issuers[0] must be https"},
		"Issuer with a slash":         {func(c *resource.Config) { c.Issuers[0] += "/" }, "no slash at its end"},
		"Issuer with a query":         {func(c *resource.Config) { c.Issuers[0] += "?a" }, "no query"},
		"Issuer with an empty query":  {func(c *resource.Config) { c.Issuers[0] += "?" }, "no query"},
		"Issuer empty":                {func(c *resource.Config) { c.Issuers[0] = "" }, "Config.Issuers[0] must be a URL"},
		"Issuer twice":                {func(c *resource.Config) { c.Issuers = append(c.Issuers, c.Issuers[0]) }, "Config.Issuers[1]: an issuer stands there twice"},
		"Scopes in one string":        {func(c *resource.Config) { c.Scopes = []string{"read write"} }, "Config.Scopes[0]"},
		"Scope with a quote":          {func(c *resource.Config) { c.Scopes = []string{"a", `a"`} }, "Config.Scopes[1]"},
		"offline_access":              {func(c *resource.Config) { c.Scopes = []string{"offline_access"} }, "offline_access"},
		"Implies a bad name":          {func(c *resource.Config) { c.Implies = map[string][]string{"a": {"b c"}} }, "Config.Implies"},
		"Implies from a bad name":     {func(c *resource.Config) { c.Implies = map[string][]string{"": {"b"}} }, "Config.Implies"},
		"Origin with a path":          {func(c *resource.Config) { c.Origins = []string{"https://app.example/"} }, "Config.Origins[0]"},
		"Origin without scheme":       {func(c *resource.Config) { c.Origins = []string{"app.example"} }, "Config.Origins[0]"},
		"Origin in capitals":          {func(c *resource.Config) { c.Origins = []string{"https://App.example"} }, "Config.Origins[0]"},
		"Origin a wildcard":           {func(c *resource.Config) { c.Origins = []string{"*"} }, "Config.Origins[0]"},
		"Documentation no URL":        {func(c *resource.Config) { c.Documentation = "docs" }, "Config.Documentation"},
		"Policy a script":             {func(c *resource.Config) { c.Policy = "javascript:alert(1)" }, "Config.Policy"},
		"TermsOfUse relative":         {func(c *resource.Config) { c.TermsOfUse = "/tos" }, "Config.TermsOfUse"},
		"JWT of another issuer":       {func(c *resource.Config) { c.Verifier = resource.JWT("https://other.example", nil) }, "JWT: the issuer \""},
		"JWT in a list":               {func(c *resource.Config) { c.Verifier = resource.Verifiers{resource.JWT(issuerURL+"/", nil)} }, "JWT: the issuer \""},
		"no verifiers in a list":      {func(c *resource.Config) { c.Verifier = resource.Verifiers{} }, "Verifiers is empty"},
		"nil in a list":               {func(c *resource.Config) { c.Verifier = resource.Verifiers{nil} }, "Verifiers[0] is nil"},
		"JWKS http": {func(c *resource.Config) {
			c.Verifier = resource.NewJWT(resource.JWTConfig{Issuer: issuerURL, JWKS: "http://login.example/jwks"})
		}, "JWTConfig.JWKS must be https"},
		"MaxLifetime negative": {func(c *resource.Config) {
			c.Verifier = resource.NewJWT(resource.JWTConfig{Issuer: issuerURL, MaxLifetime: -time.Second})
		}, "MaxLifetime must not be negative"},
		"introspection of another":    {func(c *resource.Config) { c.Verifier = resource.Introspection("https://other.example", "a", "b", nil) }, "Introspection: the issuer \""},
		"introspection without a key": {func(c *resource.Config) { c.Verifier = resource.Introspection(issuerURL, "a", "", nil) }, "a client ID and a secret are required"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := resource.Config{Resource: resourceURL, Issuers: []string{issuerURL}, Verifier: resource.VerifierFunc(good)}
			_, err := resource.New(cfg)
			require.NoError(t, err)
			tt.change(&cfg)
			s, err := resource.New(cfg)
			assert.ErrorContains(t, err, tt.want)
			assert.Nil(t, s)
		})
	}
}

func TestNewCopiesItsConfig(t *testing.T) {
	cfg := resource.Config{Resource: resourceURL, Issuers: []string{issuerURL}, Verifier: resource.VerifierFunc(scoped),
		Scopes: []string{"read"}, Implies: map[string][]string{"write": {"read"}}}
	s, err := resource.New(cfg)
	require.NoError(t, err)
	cfg.Issuers[0], cfg.Scopes[0], cfg.Implies["other"] = "https://evil.example", "evil", []string{"read"}
	token, err := s.VerifyToken(t.Context(), "read")
	require.NoError(t, err)
	assert.Equal(t, issuerURL, token.Issuer)
	assert.False(t, s.Allows(&resource.Token{Scopes: []string{"other"}}, "read"))
}
