package assertion_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/assertion"
	"github.com/seed-e797c9ce/oauth/store"
)

// The employees of Acme use clients that their company has allowed, and are not
// asked by each of them.
func ExampleEnterprise() {
	accounts := map[string]string{"https://acme.okta.example U019488227": "user-1"} // a table of the app's
	p, err := oauth.New(oauth.Config{
		Issuer:   "https://example.com",
		Store:    store.NewMemory(),
		Secret:   []byte("32 random bytes, kept in a vault"),
		Session:  func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
		LoginURL: "/login",
		Scopes:   map[string]string{"notes": "Read your notes"},
		Extensions: []oauth.Extension{assertion.New(assertion.Config{
			Enterprises: []assertion.Enterprise{{
				Issuer: assertion.Issuer{URL: "https://acme.okta.example"},
				User: func(_ context.Context, c assertion.Claims) (string, error) {
					return accounts[c.Issuer+" "+c.Subject], nil
				},
			}},
		})},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Metadata()["authorization_grant_profiles_supported"])
	_, _, err = p.RegisterClient(context.Background(), oauth.Client{
		ID: "ide", GrantTypes: []string{"urn:ietf:params:oauth:grant-type:jwt-bearer"}, Scopes: []string{"notes"},
	})
	fmt.Println(err)
	// Output:
	// [urn:ietf:params:oauth:grant-profile:id-jag]
	// <nil>
}

// The deployment job of one repository may deploy, with nothing but the token
// that its platform gives it.
func ExamplePlatform() {
	p, err := oauth.New(oauth.Config{
		Issuer:   "https://example.com",
		Store:    store.NewMemory(),
		Secret:   []byte("32 random bytes, kept in a vault"),
		Session:  func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
		LoginURL: "/login",
		Scopes:   map[string]string{"deploy": "Deploy the site"},
		Extensions: []oauth.Extension{assertion.New(assertion.Config{
			Platforms: []assertion.Platform{{
				Issuer: assertion.Issuer{URL: "https://token.actions.githubusercontent.com"},
				Rules: []assertion.Rule{{
					Claims:   map[string]string{"repository": "acme/site", "ref": "refs/heads/main"},
					Workload: assertion.Workload{Subject: "deployer", Scopes: []string{"deploy"}},
				}},
			}},
		})},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	workload, err := p.Client(context.Background(), "workload:deployer")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(workload.ID, workload.Scopes)
	// Output:
	// workload:deployer [deploy]
}
