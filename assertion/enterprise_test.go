package assertion_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/assertion"
	"github.com/seed-e797c9ce/oauth/store"
)

func TestAnEnterpriseVouchesForItsUser(t *testing.T) {
	w := newWorld(t)
	got := w.ask(w.p, "ide", jag(t, "resource", notes, "scope", "read write admin"))
	require.Equal(t, ok, got.answer())
	assert.Equal(t, "read write", got.Scope, "what it can have of what was asserted")
	assert.Equal(t, notes, got.Resource)
	assert.Empty(t, got.Refresh)

	token, err := w.p.Verifier().VerifyToken(t.Context(), got.Token)
	require.NoError(t, err)
	assert.Equal(t, "alice", token.Subject)
	assert.Equal(t, "ide", token.ClientID)
	assert.Equal(t, []string{notes}, token.Audience)
	assert.Equal(t, []string{"read", "write"}, token.Scopes)
	assert.False(t, token.Machine())

	list, err := w.store.ListTokens(t.Context(), store.TokenQuery{Subject: "alice"}, "", 10)
	require.NoError(t, err)
	require.Len(t, list, 1, "an authorization like any other")
	assert.Equal(t, store.TokenActive, list[0].State)
	assert.True(t, list[0].FamilyHash.IsZero())
}

func TestTheAccessOfAnEnterprisesUserEnds(t *testing.T) {
	for name, end := range map[string]func(w *world, token string) error{
		"by the client": func(w *world, token string) error {
			_, err := w.p.Revoke(t.Context(), &oauth.Client{ID: "ide"}, token)
			return err
		},
		"by the app":      func(w *world, _ string) error { _, err := w.p.RevokeUser(t.Context(), "alice", ""); return err },
		"with the client": func(w *world, _ string) error { return w.p.DeleteClient(t.Context(), "ide") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			got := w.ask(w.p, "ide", jag(t))
			require.Equal(t, ok, got.answer())
			in, err := w.p.Introspect(t.Context(), nil, got.Token)
			require.NoError(t, err)
			require.True(t, in.Active)
			require.NoError(t, end(w, got.Token))
			in, err = w.p.Introspect(t.Context(), nil, got.Token)
			require.NoError(t, err)
			assert.False(t, in.Active)
		})
	}
}

// The table of checks of enterprise-managed authorization, §5.1 and §7.4.
func TestIDJAGIsChecked(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		pairs []any
		want  answer
	}{
		"good":                                  {nil, ok},
		"aud list of one":                       {[]any{"aud", []string{issuer}}, ok},
		"aud list of several":                   {[]any{"aud", []string{issuer, "https://other.example"}}, badGrant},
		"aud list of twice the same":            {[]any{"aud", []string{issuer, issuer}}, badGrant},
		"aud empty list":                        {[]any{"aud", []string{}}, badGrant},
		"aud token endpoint":                    {[]any{"aud", endpoint}, badGrant},
		"aud with slash":                        {[]any{"aud", issuer + "/"}, badGrant},
		"aud in upper case":                     {[]any{"aud", "https://AUTH.example"}, badGrant},
		"aud resource":                          {[]any{"aud", notes}, badGrant},
		"aud none":                              {[]any{"aud", nil}, badGrant},
		"aud number":                            {[]any{"aud", 1}, badGrant},
		"aud object":                            {[]any{"aud", map[string]string{"a": issuer}}, badGrant},
		"client_id other":                       {[]any{"client_id", "signer"}, badGrant},
		"client_id none":                        {[]any{"client_id", nil}, badGrant},
		"client_id list":                        {[]any{"client_id", []string{"ide"}}, badGrant},
		"client_id in other case":               {[]any{"client_id", "IDE"}, badGrant},
		"iss unknown":                           {[]any{"iss", "https://evil.example"}, badGrant},
		"iss of another trusted one":            {[]any{"iss", globex}, badGrant},
		"iss of a platform":                     {[]any{"iss", runner}, badGrant},
		"iss with slash":                        {[]any{"iss", acme + "/"}, badGrant},
		"iss none":                              {[]any{"iss", nil}, badGrant},
		"iss list":                              {[]any{"iss", []string{acme}}, badGrant},
		"sub none":                              {[]any{"sub", nil}, badGrant},
		"sub empty":                             {[]any{"sub", ""}, badGrant},
		"sub number":                            {[]any{"sub", 1}, badGrant},
		"iat none":                              {[]any{"iat", nil}, badGrant},
		"iat in the future":                     {[]any{"iat", in(2 * time.Minute), "exp", in(5 * time.Minute)}, badGrant},
		"iat after exp":                         {[]any{"iat", now.Add(30 * time.Second).Unix(), "exp", now.Add(20 * time.Second).Unix()}, badGrant},
		"exp none":                              {[]any{"exp", nil}, badGrant},
		"exp past":                              {[]any{"iat", in(-time.Hour), "exp", in(-2 * time.Minute)}, badGrant},
		"exp within leeway":                     {[]any{"iat", in(-time.Hour), "exp", in(-time.Second)}, ok},
		"exp in 1 h":                            {[]any{"exp", in(time.Hour)}, ok},
		"good for a day, for a minute more":     {[]any{"iat", in(-24 * time.Hour), "exp", in(time.Minute)}, badGrant},
		"exp in 2 h":                            {[]any{"exp", in(2 * time.Hour)}, badGrant},
		"exp huge":                              {[]any{"exp", 1e300}, badGrant},
		"exp text":                              {[]any{"exp", "9999999999"}, badGrant},
		"nbf in the future":                     {[]any{"nbf", in(2 * time.Minute)}, badGrant},
		"jti none":                              {[]any{"jti", nil}, badGrant},
		"jti empty":                             {[]any{"jti", ""}, badGrant},
		"jti long":                              {[]any{"jti", strings.Repeat("j", 513)}, badGrant},
		"user unknown":                          {[]any{"sub", "U2"}, badGrant},
		"cnf":                                   {[]any{"cnf", map[string]string{"jkt": "x"}}, badGrant},
		"cnf null":                              {[]any{"cnf", jsonNull}, badGrant},
		"authorization_details":                 {[]any{"authorization_details", []any{map[string]string{"type": "x"}}}, badGrant},
		"authorization_details empty":           {[]any{"authorization_details", []any{}}, badGrant},
		"resource not ours":                     {[]any{"resource", "https://elsewhere.example/mcp"}, badTarget},
		"resource partly ours":                  {[]any{"resource", []string{notes, "https://elsewhere.example/mcp"}}, badTarget},
		"resource of another form":              {[]any{"resource", map[string]string{}}, badGrant},
		"resource empty list":                   {[]any{"resource", []string{}}, badGrant},
		"resource in upper case":                {[]any{"resource", "https://API.example/notes"}, ok},
		"resource with fragment":                {[]any{"resource", notes + "#"}, badTarget},
		"too many resources":                    {[]any{"resource", strings.Split(strings.Repeat(notes+" ", 11)+notes, " ")}, badTarget},
		"scope list":                            {[]any{"scope", []string{"read"}}, badGrant},
		"scope empty":                           {[]any{"scope", ""}, badGrant},
		"scope null":                            {[]any{"scope", jsonNull}, badGrant},
		"scope unknown":                         {[]any{"scope", "admin"}, badScope},
		"scope that the client may not have":    {[]any{"scope", "mail", "resource", mail}, badScope},
		"scope that the resource does not know": {[]any{"scope", "mail", "resource", notes}, badScope},
		"offline_access alone":                  {[]any{"scope", "offline_access"}, badScope},
		"email in another form":                 {[]any{"email", 1, "email_verified", "true", "tenant", 2}, ok},
		"SEC-146 access token":                  {nil, badGrant},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := jag(t, c.pairs...)
			if name == "SEC-146 access token" {
				got := w.ask(w.p, "ide", a)
				require.Equal(t, ok, got.answer())
				a = got.Token
				w.store.codes.Store(0)
			}
			got := w.ask(w.p, "ide", a)
			assert.Equal(t, c.want, got.answer())
			assert.Equal(t, c.want == ok, w.store.codes.Load() == 1, "what is refused is not spent")
			if c.want != ok {
				assert.Empty(t, got.Token)
			}
		})
	}
}

type null struct{}

func (null) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// jsonNull is a claim that is there and null; nil would remove it.
var jsonNull = null{}

func TestScopesOfAnIDJAGAreNarrowed(t *testing.T) {
	for name, c := range map[string]struct {
		client  string
		claims  []any
		request []string
		want    answer
		scope   string
	}{
		"none asserted, none requested":   {"ide", nil, nil, ok, "read write"},
		"none asserted, client's default": {"desk", []any{"client_id", "desk"}, nil, ok, "read"},
		"none asserted, requested":        {"desk", []any{"client_id", "desk"}, []string{"scope", "write"}, ok, "write"},
		"asserted":                        {"ide", []any{"scope", "write"}, nil, ok, "write"},
		"requested of asserted":           {"ide", []any{"scope", "read write"}, []string{"scope", "read"}, ok, "read"},
		"requested more than asserted":    {"ide", []any{"scope", "read"}, []string{"scope", "write read"}, ok, "read"},
		"requested other than asserted":   {"ide", []any{"scope", "read"}, []string{"scope", "write"}, badScope, ""},
		"the most of the enterprise":      {"ide", []any{"iss", globex, "scope", "read write"}, nil, ok, "read"},
		"more than the enterprise may":    {"ide", []any{"iss", globex, "scope", "write"}, nil, badScope, ""},
		"no more without any in it":       {"ide", []any{"iss", globex}, nil, ok, "read"},
		"of the resource":                 {"ide", []any{"resource", mail, "scope", "write read"}, nil, ok, "read"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			key := keys()["ES256"]
			if len(c.claims) > 0 && c.claims[1] == globex {
				key = keys()["EdDSA"]
			}
			got := w.ask(w.p, c.client, sign(t, key, idJAG, jagClaims(c.claims...)), c.request...)
			assert.Equal(t, c.want, got.answer())
			assert.Equal(t, c.scope, got.Scope)
		})
	}
}

func TestResourcesOfAnIDJAGBindTheToken(t *testing.T) {
	for name, c := range map[string]struct {
		client   string
		asserted any
		request  []string
		want     answer
		resource any
	}{
		"none":                       {"ide", nil, nil, ok, notes},
		"none, the client's":         {"mailer", nil, nil, ok, mail},
		"asserted":                   {"ide", mail, nil, ok, mail},
		"asserted two":               {"ide", []string{mail, notes}, nil, ok, []any{mail, notes}},
		"requested of two":           {"ide", []string{mail, notes}, []string{"resource", notes}, ok, notes},
		"requested":                  {"ide", nil, []string{"resource", mail}, ok, mail},
		"requested other":            {"ide", notes, []string{"resource", mail}, badTarget, nil},
		"requested more":             {"ide", notes, []string{"resource", mail, "resource", notes}, badTarget, nil},
		"requested unknown":          {"ide", notes, []string{"resource", "https://x.example"}, badTarget, nil},
		"asserted not the client's":  {"mailer", notes, nil, badTarget, nil},
		"requested not the client's": {"mailer", nil, []string{"resource", notes}, badTarget, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			got := w.ask(w.p, c.client, jag(t, "client_id", c.client, "resource", c.asserted, "scope", "read"), c.request...)
			assert.Equal(t, c.want, got.answer())
			assert.Equal(t, c.resource, got.Resource)
		})
	}
}

func TestOnlyClientsThatAuthenticateUseIDJAGs(t *testing.T) {
	w := newWorld(t)
	own := func(client string) string { return jag(t, "client_id", client) }
	assert.Equal(t, notYou, w.ask(w.p, "public", own("public")).answer(), "anybody could be it")
	assert.Equal(t, notYou, w.ask(w.p, "stranger", own("stranger")).answer(), "it registered itself")
	assert.Equal(t, notYou, w.ask(w.p, "other", own("other")).answer(), "not registered for the grant")
	assert.Equal(t, invalid, w.ask(w.p, "", own("ide")).answer(), "nobody")
	assert.Equal(t, invalid, w.ask(w.p, "nobody", own("nobody")).answer())
	w.secrets["ide"] += "x"
	assert.Equal(t, invalid, w.ask(w.p, "ide", own("ide")).answer())
	assert.Zero(t, w.store.codes.Load())

	w = newWorld(t, func(c *assertion.Config) {
		c.Enterprises[0].Clients = func(_ context.Context, c *oauth.Client) (bool, error) {
			if c.ID == "desk" {
				return false, errDown
			}
			return c.Public, nil
		}
	})
	assert.Equal(t, ok, w.ask(w.p, "public", own("public")).answer(), "the app allows it")
	assert.Equal(t, notYou, w.ask(w.p, "ide", own("ide")).answer())
	assert.Equal(t, down, w.ask(w.p, "desk", own("desk")).answer())
}

// The Go SDK sends client_id and client_secret in the body, and an empty code;
// others use Basic; and private_key_jwt has an assertion of its own beside it.
func TestEveryWayOfClientAuthenticationGoesWithAnIDJAG(t *testing.T) {
	w := newWorld(t)
	assert.Equal(t, ok, w.ask(w.p, "ide", jag(t)).answer(), "client_secret_basic")
	form := url.Values{"grant_type": {jwtBearer}, "assertion": {jag(t, "client_id", "desk")}, "code": {""}, "client_id": {"desk"}, "client_secret": {w.secrets["desk"]}}
	assert.Equal(t, ok, post(w.p, "/oauth/token", form), "client_secret_post")
	form = url.Values{"grant_type": {jwtBearer}, "assertion": {jag(t, "client_id", "signer")}, "client_assertion_type": {kindJWT}, "client_assertion": {good(t, "signer")}}
	assert.Equal(t, ok, post(w.p, "/oauth/token", form), "private_key_jwt")
	form = url.Values{"grant_type": {jwtBearer}, "assertion": {jag(t, "client_id", document)}, "client_assertion_type": {kindJWT}, "client_assertion": {good(t, document)}}
	assert.Equal(t, ok, post(w.p, "/oauth/token", form), "with a metadata document")
	form.Del("assertion")
	form.Set("client_assertion", good(t, document))
	assert.Equal(t, request, post(w.p, "/oauth/token", form), "without what it asks for")
}

func TestTheAppLinksUsers(t *testing.T) {
	w := newWorld(t)
	var seen assertion.Claims
	w.hook = func(_ context.Context, c assertion.Claims) (string, error) { seen = c; return "carol", nil }
	require.Equal(t, ok, w.ask(w.p, "ide", jag(t, "tenant", "t1", "email", "carol@acme.example", "email_verified", true, "department", "x")).answer())
	assert.Contains(t, string(seen.JSON), `"department":"x"`)
	seen.JSON = nil
	assert.Equal(t, assertion.Claims{Issuer: acme, Subject: "U1", Tenant: "t1", Email: "carol@acme.example", EmailVerified: true, ClientID: "ide"}, seen)

	w.hook = func(_ context.Context, c assertion.Claims) (string, error) { seen = c; return "", nil }
	require.Equal(t, badGrant, w.ask(w.p, "ide", jag(t, "email", "carol@acme.example", "email_verified", "true")).answer())
	assert.False(t, seen.EmailVerified, "only what is said in so many words")

	w.hook = func(context.Context, assertion.Claims) (string, error) { return "", errDown }
	a := jag(t)
	require.Equal(t, down, w.ask(w.p, "ide", a).answer())
	w.hook = func(context.Context, assertion.Claims) (string, error) {
		return "", &oauth.Error{Code: oauth.ErrAccessDenied, Description: "not in this plan"}
	}
	require.Equal(t, answer{403, "access_denied"}, w.ask(w.p, "ide", a).answer())
	w.hook = nil
	require.Equal(t, ok, w.ask(w.p, "ide", a).answer(), "an outage spends nothing")

	w.hook = func(context.Context, assertion.Claims) (string, error) { return "ide", nil }
	assert.NotEqual(t, http.StatusOK, w.ask(w.p, "ide", jag(t)).Status, "a user whose ID is the client's would pass for it")
}

func TestAUserWhoHasLeftGetsNothing(t *testing.T) {
	w := newWorld(t)
	got := w.ask(w.p, "ide", jag(t))
	require.Equal(t, ok, got.answer())
	w.active = func(subject string) bool { return subject != "alice" }
	assert.Equal(t, badGrant, w.ask(w.p, "ide", jag(t)).answer())
	in, err := w.p.Introspect(t.Context(), nil, got.Token)
	require.NoError(t, err)
	assert.False(t, in.Active)
}
