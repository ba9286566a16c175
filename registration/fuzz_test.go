package registration_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-e797c9ce/oauth/internal/jose"
	"github.com/seed-e797c9ce/oauth/registration"
	"github.com/seed-e797c9ce/oauth/store"
)

// Whatever is sent, the answer is a client that strangers may be, or an error
// that is the sender's.
func FuzzRegister(f *testing.F) {
	for _, seed := range []string{good, "[]", "", `{"redirect_uris":["http://[::1]/cb",""],"jwks":{"keys":[{}]}}`, doc("scope", "admin read", "client_uri", "https://%/")} {
		f.Add(seed)
	}
	fix := newFixture(f, registration.Config{PerAddress: 1 << 30, PerHour: 1 << 30})
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest("POST", endpoint, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		fix.p.ServeHTTP(w, r)
		if w.Code != 201 && w.Code != 400 && w.Code != 413 {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		list, err := fix.store.ListClients(t.Context(), "", 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			if c.Trust != store.TrustSelf || c.FirstParty || len(c.Scopes) != 2 || len(c.RedirectURIs) == 0 || c.PurgeAt.IsZero() {
				t.Fatalf("%+v", c)
			}
			if err := fix.store.DeleteClient(t.Context(), c.ID); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzManage sends anything to the configuration endpoint. {id}, {token} and
// {secret} are those of one client. Nothing touches it but its own token with its
// own ID, nothing at all touches the other, and what an update makes of it is
// still a stranger that authenticates as before.
func FuzzManage(f *testing.F) {
	const query, auth, start = "client_id={id}", "Bearer {token}", `{"client_id":"{id}","redirect_uris":["https://app.example/cb"],"token_endpoint_auth_method":"client_secret_basic"`
	for method := range byte(3) {
		f.Add(method, query, auth, start+`}`)
		f.Add(method, query+"&client_id=other", auth, start+`}`)
		f.Add(method, "client_id=other", auth, start+`}`)
		f.Add(method, "", "bearer  {token}", start+`}`)
		f.Add(method, query, "Bearer {token}=", `{}`)
	}
	for _, more := range []string{
		`,"client_secret":"{secret}"}`, `,"client_secret":"{secret}x"}`, `,"scope":"admin read","grant_types":["client_credentials","authorization_code"]}`, `,"client_name":"<b>","contacts":["\u0000"]}`,
		`,"registration_access_token":"{token}"}`, `,"trust":"registered","first_party":true,"data":{"registration":{"token":"x"}}}`, `,"Client_id":"other"}`, `,"jwks":{"keys":[{}]}}`,
	} {
		f.Add(byte(1), query, auth, start+more)
	}
	f.Add(byte(1), query+"&client_id;=other", auth, start+`,"client_name":"client_secret"}`)
	f.Add(byte(1), query, auth, start+`,"client_name":"client_secret"}`)
	f.Add(byte(1), query, auth, strings.Replace(start, "{id}", "other", 1)+`}`)
	f.Add(byte(1), query, auth, strings.Replace(start, "_basic", "_post", 1)+`}`)
	f.Add(byte(1), query, auth, `{"client_id":"{id}","redirect_uris":["http://127.0.0.1/cb"],"token_endpoint_auth_method":"none"}`)
	f.Add(byte(1), query, auth, `{"client_id":"{id}","redirect_uris":["javascript:x","https://a.example/?%zz"]}`)
	fix := newFixture(f, registration.Config{PerAddress: 1 << 30, PerHour: 1 << 30})
	const own = `{"redirect_uris":["https://app.example/cb"],"client_name":"App"}`
	other, mine := fix.register(good), fix.register(own)
	untouched := fix.stored(other["client_id"])
	f.Fuzz(func(t *testing.T, which byte, query, auth, body string) {
		fix.t = t
		id, token := mine["client_id"].(string), mine["registration_access_token"].(string)
		fill := strings.NewReplacer("{id}", id, "{token}", token, "{secret}", mine["client_secret"].(string), "other", other["client_id"].(string))
		query, auth, body = fill.Replace(query), fill.Replace(auth), fill.Replace(body)
		method := []string{"GET", "PUT", "DELETE"}[int(which)%3]
		before := fix.stored(id)
		r := httptest.NewRequest(method, endpoint, strings.NewReader(body))
		r.URL.RawQuery = query
		r.Header["Authorization"], r.Header["Content-Type"] = []string{auth}, []string{"application/json"}
		w := httptest.NewRecorder()
		fix.p.ServeHTTP(w, r)

		if !reflect.DeepEqual(untouched, fix.stored(other["client_id"])) {
			t.Fatalf("%s changed another client: %s", method, body)
		}
		scheme, sent, _ := strings.Cut(auth, " ")
		asked, err := url.ParseQuery(query)
		entitled := err == nil && strings.EqualFold(scheme, "Bearer") && sent == token && slices.Equal(asked["client_id"], []string{id})
		if !entitled && w.Code != 401 || entitled && w.Code == 401 || w.Code >= 500 || w.Code < 200 {
			t.Fatalf("%s %d: %s", method, w.Code, w.Body)
		}
		if entitled && method == "DELETE" {
			if _, err := fix.store.Client(t.Context(), id); err == nil || w.Code != 204 {
				t.Fatalf("%d, and the client is there", w.Code)
			}
			mine = fix.register(own)
			return
		}
		after := fix.stored(id)
		if w.Code != 200 || method == "GET" {
			if !reflect.DeepEqual(before, after) {
				t.Fatalf("%s %d changed %+v to %+v", method, w.Code, before, after)
			}
			return
		}
		var said struct {
			ID string `json:"client_id"`
		}
		if err := json.Unmarshal([]byte(body), &said); err != nil || said.ID != id {
			t.Fatalf("%v: %s", err, body)
		}
		var told map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &told); err != nil || told["client_secret"] != nil || len(after.RedirectURIs) == 0 || after.Trust != store.TrustSelf || after.FirstParty ||
			!slices.Equal(after.Scopes, before.Scopes) || after.AuthMethod != before.AuthMethod || after.Public != before.Public ||
			!reflect.DeepEqual(after.Secrets, before.Secrets) || !after.PurgeAt.Equal(before.PurgeAt) || after.JWKS != nil || after.JWKSURI != "" {
			t.Fatalf("%s made %+v of %+v", body, after, before)
		}
		if a := fix.do("GET", endpoint+"?client_id="+id, "", "Authorization", "Bearer "+token); a.status != 200 {
			t.Fatalf("the token is good no more: %d %s", a.status, a.body)
		}
	})
}

// FuzzStatement signs any claims as a software statement, and replaces a
// character of it. Only the whole statement counts, only for this provider and
// for its time, and what it says takes precedence, but makes nobody more than a
// stranger.
func FuzzStatement(f *testing.F) {
	const start = `{"iss":"` + vouches + `"`
	for _, more := range []string{
		`}`, `,"client_name":"Vouched for"}`, `,"aud":"` + issuer + `","exp":4102444800.5,"nbf":1}`, `,"aud":["x","` + issuer + `"]}`, `,"aud":[]}`, `,"aud":null}`, `,"exp":1}`, `,"nbf":1e300}`,
		`,"redirect_uris":["javascript:x"]}`, `,"scope":"admin","grant_types":["implicit","authorization_code"]}`, `,"client_id":"x","client_secret":"y","trust":"registered"}`, `,"iss":"x"}`, `,"software_statement":"x"}`,
	} {
		f.Add([]byte(start+more), "JWT", uint16(0), "")
	}
	f.Add([]byte(start+`}`), "", uint16(70), "A")
	f.Add([]byte(start+`}`), "at+jwt", uint16(3), "\n")
	f.Add([]byte(`{"iss":"https://other.example"}`), "application/jwt", uint16(9), "=")
	f.Add([]byte(`[]`), "", uint16(0), "")
	key, err := jose.Generate(jose.EdDSA)
	if err != nil {
		f.Fatal(err)
	}
	set, err := jose.MarshalJWKS([]jose.Key{key})
	if err != nil {
		f.Fatal(err)
	}
	signer, err := jose.Prepare(key)
	if err != nil {
		f.Fatal(err)
	}
	fix := newFixture(f, registration.Config{PerAddress: 1 << 30, PerHour: 1 << 30, StatementIssuers: map[string][]byte{vouches: set}})
	f.Fuzz(func(t *testing.T, claims []byte, typ string, at uint16, to string) {
		fix.t = t
		genuine, err := signer.Sign(t.Context(), typ, claims)
		if err != nil {
			return
		}
		sent := genuine
		if i := int(at) % len(genuine); to != "" {
			sent = genuine[:i] + to + genuine[i+1:]
		}
		a := fix.do("POST", endpoint, doc("client_name", "Boast", "software_statement", sent))
		if a.status != 201 {
			if a.status != 400 && a.status != 413 || fix.count() != 0 {
				t.Fatalf("%d: %s", a.status, a.body)
			}
			return
		}
		c := fix.stored(a.json["client_id"])
		if err := fix.store.DeleteClient(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		if c.Trust != store.TrustSelf || c.FirstParty || len(c.Scopes) != 2 || len(c.RedirectURIs) == 0 {
			t.Fatalf("%+v", c)
		}
		said := struct {
			Issuer   string   `json:"iss"`
			Audience any      `json:"aud"`
			Expires  *float64 `json:"exp"`
			Before   float64  `json:"nbf"`
			Name     string   `json:"client_name"`
		}{Name: "Boast"}
		if err := json.Unmarshal(claims, &said); err != nil || sent != genuine || said.Issuer != vouches || said.Name != c.Name {
			t.Fatalf("%v: %s with %q, now %q", err, claims, to, c.Name)
		}
		list, _ := said.Audience.([]any)
		if said.Audience != nil && said.Audience != any(issuer) && !slices.Contains(list, any(issuer)) {
			t.Fatalf("for somebody else: %s", claims)
		}
		now := float64(time.Now().Unix())
		if said.Expires != nil && *said.Expires < now-61 || said.Before > now+61 {
			t.Fatalf("not at this time: %s", claims)
		}
	})
}
