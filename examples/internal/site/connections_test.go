package site

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

func TestConnectionsSayWhatIsKnown(t *testing.T) {
	s := &Site{scopes: map[string]string{"read": "Read everything"}}
	detail := func(id string, c *oauth.Client) oauth.ConsentDetail {
		return oauth.ConsentDetail{Consent: oauth.Consent{ClientID: id, Scopes: []string{"read", "other"}}, Client: c}
	}

	c := s.connection(detail("app", &oauth.Client{Name: "App", Trust: store.TrustRegistered, RedirectURIs: []string{"https://app.example/a", "https://app.example/b", "https://b.example/"}}))
	assert.Equal(t, connection{ClientID: "app", Name: "App", SentTo: []string{"app.example", "b.example"}, Scopes: []string{"Read everything", "other"}}, c)

	c = s.connection(detail("https://client.example:8443/doc", &oauth.Client{Name: "Ple\u202ease\n\u200b", Trust: store.TrustDocument, RedirectURIs: []string{"http://localhost/cb", "https://web.example/cb"}}))
	assert.Equal(t, "Please", c.Name)
	assert.Equal(t, "client.example:8443", c.Document)
	assert.True(t, c.Unchecked)
	assert.True(t, c.Local)
	assert.Equal(t, []string{"web.example"}, c.SentTo)

	c = s.connection(detail("https://looks.like/one", &oauth.Client{Name: "Self", Trust: store.TrustSelf, RedirectURIs: []string{"cursor://callback", "http://[::1]:9/"}}))
	assert.Empty(t, c.Document, "only a document's own address says something")
	assert.True(t, c.Unchecked)
	assert.True(t, c.Local)
	assert.Empty(t, c.SentTo)

	c = s.connection(detail("gone", nil))
	assert.Empty(t, c.Name)
	assert.Equal(t, "gone", c.ClientID)
}
