package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// A grant type of the host app's own: kiosks exchange a badge number for a
// token of the badge's owner. The function decides who gets what; the provider
// authenticates the client before it and issues the tokens after it.
func ExampleRegistry_GrantType() {
	badges := map[string]string{"4711": "alice"}
	kioskGrant := oauth.Extension(func(r *oauth.Registry) error {
		r.GrantType("urn:example:badge", func(_ context.Context, q *oauth.ClientRequest) (*oauth.Issuance, error) {
			user, ok := badges[q.Form.Get("badge")]
			if !ok {
				return nil, &oauth.Error{Code: oauth.ErrInvalidGrant, Description: "no such badge"}
			}
			return &oauth.Issuance{Subject: user, Scopes: []string{"door"}}, nil
		})
		return nil
	})

	provider, err := oauth.New(oauth.Config{
		Issuer: "http://localhost:8080", Store: store.NewMemory(), LoginURL: "/login",
		Session:    func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
		Scopes:     map[string]string{"door": "Open doors"},
		Extensions: []oauth.Extension{kioskGrant},
		Logger:     slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	kiosk, secret, err := provider.RegisterClient(context.Background(), oauth.Client{
		ID: "kiosk", GrantTypes: []string{"urn:example:badge"}, Scopes: []string{"door"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	server := httptest.NewServer(provider)
	defer server.Close()
	for _, badge := range []string{"4711", "0000"} {
		res, err := http.PostForm(server.URL+"/oauth/token", url.Values{
			"grant_type": {"urn:example:badge"}, "badge": {badge}, "client_id": {kiosk.ID}, "client_secret": {secret},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		res.Body.Close()
		fmt.Println(badge, res.Status)
	}
	// Output:
	// 4711 200 OK
	// 0000 400 Bad Request
}

// A consent page in the app's own words and style, which is posted to the
// provider. Everything that is shown here has to be: who asks, for what, where
// the answer goes, and whose account it is about.
func ExampleConsentPage() {
	pages := template.Must(template.New("").Parse(`{{define "consent"}}<!doctype html>
<title>Connect {{.ClientName}}?</title>
<style nonce="{{.Nonce}}">form { max-width: 30em; margin: auto }</style>
<form method="post" action="{{.Action}}">
<h1>Connect {{.ClientName}} to the account of {{.Username}}?</h1>
{{if .Imitates}}<p>It is not {{.Imitates}}.</p>{{end}}
{{if .Loopback}}<p>Allow this only if you have just started the program on this computer.</p>{{end}}
<p>The answer goes to {{.RedirectHost}}.</p>
{{range .Scopes}}<label><input type="checkbox" name="scope" value="{{.Name}}" checked> {{.Description}}</label>
{{end}}<input type="hidden" name="interaction" value="{{.Interaction}}">
<button name="decision" value="deny">No</button>
<button name="decision" value="allow">Yes</button>
</form>
{{end}}`))
	provider, err := oauth.New(oauth.Config{
		Issuer: "http://localhost:8080", Store: store.NewMemory(), LoginURL: "/login",
		Session: func(*http.Request) (oauth.Session, error) { return oauth.Session{Subject: "u-1"}, nil },
		Users: func(context.Context, string) (oauth.User, error) {
			return oauth.User{Active: true, Username: "ada"}, nil
		},
		Scopes:    map[string]string{"notes": "Read your notes"},
		Templates: pages,
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err) // a field that is misspelled, or one that is missing, is found here
		return
	}
	app, _, err := provider.RegisterClient(context.Background(), oauth.Client{
		Name: "Reader", Public: true, RedirectURIs: []string{"https://reader.example/callback"}, Scopes: []string{"notes"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	w := httptest.NewRecorder()
	provider.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/oauth/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {app.ID}, "scope": {"notes"},
		"code_challenge": {strings.Repeat("x", 43)}, "code_challenge_method": {"S256"},
	}.Encode(), nil))
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "<h1>") || strings.HasPrefix(line, "<p>") {
			fmt.Print(line)
		}
	}
	// Output:
	// <h1>Connect Reader to the account of ada?</h1>
	// <p>The answer goes to reader.example.</p>
}

// A program that says at each start what its client is: the store may have it,
// from the last start, as it was then.
func ExampleProvider_UpdateClient() {
	ensure := func(ctx context.Context, p *oauth.Provider, want oauth.Client) error {
		_, _, err := p.RegisterClient(ctx, want)
		if !errors.Is(err, store.ErrExists) {
			return err
		}
		have, err := p.Client(ctx, want.ID)
		if err != nil || slices.Equal(have.Scopes, want.Scopes) && slices.Equal(have.RedirectURIs, want.RedirectURIs) {
			return err
		}
		have.Scopes, have.RedirectURIs = want.Scopes, want.RedirectURIs // secrets, dates and version stay
		return p.UpdateClient(ctx, *have)
	}

	provider, err := oauth.New(oauth.Config{
		Issuer: "http://localhost:8080", Store: store.NewMemory(), LoginURL: "/login",
		Session: func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
		Scopes:  map[string]string{"read": "Read", "write": "Write"},
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, scopes := range [][]string{{"read"}, {"read", "write"}} { // two versions of the program
		if err := ensure(context.Background(), provider, oauth.Client{
			ID: "my-cli", Public: true, ApplicationType: "native", RedirectURIs: []string{"http://127.0.0.1/callback"}, Scopes: scopes,
		}); err != nil {
			fmt.Println(err)
			return
		}
	}
	client, err := provider.Client(context.Background(), "my-cli")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(client.Scopes)
	// Output: [read write]
}

// Pages and handlers of the app's own, in place of LoginURL and the built-in
// consent page.
func ExampleProvider_Approve() {
	page := template.Must(template.New("").Parse(`<form method="post" action="/connect">
<h1>May {{.Client.Name}} use your account? The answer goes to {{.RedirectURI.Host}}.</h1>
{{range .Scopes}}<label><input type="checkbox" name="scope" value="{{.}}" checked> {{.}}</label>{{end}}
<input type="hidden" name="interaction" value="{{.Interaction}}">
<button name="answer" value="no">No</button> <button name="answer" value="yes">Yes</button>
</form>`))
	provider, err := oauth.New(oauth.Config{
		Issuer: "http://localhost:8080", Store: store.NewMemory(),
		Session: func(*http.Request) (oauth.Session, error) { return oauth.Session{Subject: "u-1"}, nil },
		Scopes:  map[string]string{"notes": "Read your notes"},
		Interact: func(w http.ResponseWriter, r *http.Request, req *oauth.AuthorizationRequest) {
			if !req.NeedsConsent {
				http.Redirect(w, r, "/login?"+url.Values{"return_to": {req.ResumeURL}}.Encode(), http.StatusSeeOther)
				return
			}
			w.Header().Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'") // for the app's own styles
			if err := page.Execute(w, req); err != nil {
				fmt.Println(err)
			}
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	connect := func(w http.ResponseWriter, r *http.Request) { // POST /connect
		req, err := provider.PendingAuthorization(r)
		switch {
		case err != nil:
			http.Error(w, "Start again from the application.", http.StatusForbidden)
			return
		case r.PostForm.Get("answer") != "yes":
			err = provider.Deny(w, r, req)
		default:
			err = provider.Approve(w, r, req, r.PostForm["scope"])
		}
		if err != nil {
			fmt.Println(err)
		}
	}

	app, _, err := provider.RegisterClient(context.Background(), oauth.Client{
		Name: "Reader", Public: true, RedirectURIs: []string{"https://reader.example/callback"}, Scopes: []string{"notes"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, ticked := range []url.Values{{}, {"scope": {"notes"}}} { // two people
		shown := httptest.NewRecorder()
		provider.ServeHTTP(shown, httptest.NewRequest(http.MethodGet, "/oauth/authorize?"+url.Values{
			"response_type": {"code"}, "client_id": {app.ID}, "scope": {"notes"},
			"code_challenge": {strings.Repeat("x", 43)}, "code_challenge_method": {"S256"},
		}.Encode(), nil))
		_, after, _ := strings.Cut(shown.Body.String(), `name="interaction" value="`)
		ticked.Set("interaction", after[:strings.Index(after, `"`)])
		ticked.Set("answer", "yes")
		r := httptest.NewRequest(http.MethodPost, "/connect", strings.NewReader(ticked.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, c := range shown.Result().Cookies() {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		connect(w, r)
		to, err := w.Result().Location()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(to.Query().Get("error"), to.Query().Has("code"))
	}
	// Output:
	// oauth: access_denied: nothing was granted
	// access_denied false
	//  true
}
