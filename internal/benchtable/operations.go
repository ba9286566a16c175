package main

import (
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/seed-e797c9ce/oauth/resource"
)

// operations are what is measured, in the order of the table. All go through
// the provider's handler; those of bearer tokens through one that an API has.
func (b *bench) operations() []operation {
	return []operation{
		b.authorize(), overStore(b.authorize(), b.callsOfAuthorize(), random(32), hash(1)),
		b.exchange(),
		overStore(b.exchange(), b.callsOfExchange(), hash(3), random(32), random(16), random(32), sign(b.key, b.tokens().AccessToken)),
		b.refresh(b.authorizations(1000, 1000)),
		overStore(b.refresh(b.authorizations(1000, 1000)), b.callsOfRefresh, hash(4), random(32), random(32), sign(b.key, b.tokens().AccessToken)),
		b.clientCredentials(), b.bcrypt(),
		b.revoke(), overStore(b.revoke(), b.callsOfRevoke, hash(2)),
		b.introspect("introspect, seen before", false),
		overStore(b.introspect("introspect, seen before", false), b.callsOfToken("api"), basic, hashToken),
		b.introspect("introspect, first time", true),
		b.bearer("bearer, seen before", b.provider.Verifier(), false),
		overStore(b.bearer("bearer, seen before", b.provider.Verifier(), false), b.callsOfToken(""), hashToken),
		b.bearer("bearer, first time", b.provider.Verifier(), true),
		b.bearer("bearer by JWKS, seen before", b.published(), false), b.bearer("bearer by JWKS, first time", b.published(), true),
		b.document("metadata", "/.well-known/oauth-authorization-server"), b.document("JWKS", "/oauth/jwks"),
	}
}

// overStore is an operation whose floor makes the store's calls too: what is
// left over is the provider's own.
func overStore(o operation, calls primitive, others ...primitive) operation {
	o.name, o.target = o.name+", over the store's calls", 0
	o.floor = floor(append(others, calls)...)
	return o
}

// each makes batches of requests that need nothing to be known of the answers.
func each(f func() *http.Request) func(n int) batch {
	return func(n int) (b batch) {
		for range n {
			b.requests = append(b.requests, f())
		}
		return b
	}
}

func (b *bench) authorize() operation {
	path := "/oauth/authorize?" + authorization().Encode()
	return operation{
		name: "authorize", target: 2, handler: b.provider, status: http.StatusSeeOther,
		requests: each(func() *http.Request {
			r := get(path)
			r.Header.Set(userHeader, b.user())
			return r
		}),
		floor: floor(random(32), hash(1)), // the code, and what is stored of it
	}
}

func (b *bench) exchange() operation {
	return operation{
		name: "exchange", target: 1.25, handler: b.provider, status: http.StatusOK,
		requests: each(func() *http.Request {
			return b.post("/oauth/token", "", url.Values{"grant_type": {"authorization_code"}, "client_id": {"app"},
				"code": {b.code()}, "redirect_uri": {redirectURI}, "code_verifier": {verifier}})
		}),
		// Hashes of the code, of the verifier, and of two parts of a refresh token;
		// random are these two and what names the access token.
		floor: floor(hash(4), random(32), random(16), random(32), sign(b.key, b.tokens().AccessToken)),
	}
}

// refresh takes the tokens one after the other, over and over.
func (b *bench) refresh(tokens []string) operation {
	next := 0
	return operation{
		name: "refresh", target: 1.25, handler: b.provider, status: http.StatusOK,
		requests: func(n int) (out batch) {
			first := next
			next = (next + n) % len(tokens)
			for i := range n {
				out.requests = append(out.requests, b.post("/oauth/token", "", url.Values{
					"grant_type": {"refresh_token"}, "client_id": {"app"}, "refresh_token": {tokens[(first+i)%len(tokens)]}}))
			}
			out.done = func(answers []answer) {
				for i := range answers {
					tokens[(first+i)%len(tokens)] = tokensIn(answers[i]).Refresh
				}
			}
			return out
		},
		// Hashes of two parts of the token, of the new secret, and of the old one
		// once more, for the key that keeps the new one for a retry.
		floor: floor(hash(4), random(32), random(32), sign(b.key, b.tokens().AccessToken)),
	}
}

// tokensIn reads a token response.
func tokensIn(a answer) (t struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}) {
	must(json.Unmarshal(a.body, &t))
	return t
}

func (b *bench) credentialsOf(client string) func() *http.Request {
	return func() *http.Request {
		form := url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}
		if client == uncheckedMethod {
			form.Set("client_id", client)
			return b.post("/oauth/token", "", form)
		}
		return b.post("/oauth/token", client, form)
	}
}

func (b *bench) clientCredentials() operation {
	var m hand
	_, right := m.serve(b.provider, each(b.credentialsOf("cron"))(1), http.StatusOK)
	return operation{
		name: "client_credentials", target: 1.25, handler: b.provider, status: http.StatusOK,
		requests: each(b.credentialsOf("cron")),
		floor:    floor(basic, random(32), sign(b.key, tokensIn(right[0]).Access)),
	}
}

// bcrypt compares a secret that has matched before with no secret at all.
func (b *bench) bcrypt() operation {
	return operation{
		name: "client_credentials, over no secret", target: 1.5, handler: b.provider, status: http.StatusOK,
		requests:      each(b.credentialsOf("cron")),
		floor:         func(answer) http.Handler { return b.provider },
		floorRequests: each(b.credentialsOf(uncheckedMethod)),
	}
}

func (b *bench) revoke() operation {
	return operation{
		name: "revoke", target: 2, handler: b.provider, status: http.StatusOK,
		requests: each(func() *http.Request {
			return b.post("/oauth/revoke", "", url.Values{"client_id": {"app"}, "token": {b.tokens().RefreshToken}})
		}),
		floor: floor(hash(2)), // of two parts of the token
	}
}

// tokensFor returns access tokens, the same one each time or always another.
func (b *bench) tokensFor(first bool) func() string {
	one := b.tokens().AccessToken
	return func() string {
		if first {
			return b.tokens().AccessToken
		}
		return one
	}
}

func (b *bench) floorOfToken(first bool, more ...primitive) (func(answer) http.Handler, float64) {
	if first {
		return floor(append(more, hashToken, verify(b.key))...), 1.15
	}
	return floor(append(more, hashToken)...), 2
}

func (b *bench) introspect(name string, first bool) operation {
	token := b.tokensFor(first)
	floor, target := b.floorOfToken(first, basic)
	return operation{
		name: name, target: target, handler: b.provider, status: http.StatusOK, floor: floor,
		requests: each(func() *http.Request { return b.post("/oauth/introspect", "api", url.Values{"token": {token()}}) }),
	}
}

func (b *bench) bearer(name string, v resource.Verifier, first bool) operation {
	token := b.tokensFor(first)
	floor, target := b.floorOfToken(first)
	return operation{
		name: name, target: target, handler: b.protected(v), status: http.StatusNoContent, floor: floor,
		requests: each(func() *http.Request {
			r := get("/things")
			r.Header.Set("Authorization", "Bearer "+token())
			return r
		}),
	}
}

func (b *bench) document(name, path string) operation {
	return operation{
		name: name, target: 2, handler: b.provider, status: http.StatusOK, floor: floor(),
		requests: each(func() *http.Request { return get(path) }),
	}
}
