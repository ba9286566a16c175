package oauth_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"

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
