package resource_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed-e797c9ce/oauth/resource"
)

// A verifier may have made its lists with room for more: what one request adds to
// an empty one must not come up in another's.
func TestCloneSharesNoRoom(t *testing.T) {
	kept := resource.Token{Audience: make([]string, 0, 4), Scopes: make([]string, 0, 4)}
	mine, yours := kept.Clone(), kept.Clone()
	_, admin := append(mine.Audience, "https://elsewhere.example"), append(mine.Scopes, "admin")
	_, read := append(yours.Audience, "https://api.example"), append(yours.Scopes, "read")
	assert.Equal(t, []string{"admin"}, admin)
	assert.Equal(t, []string{"read"}, read)
	assert.Equal(t, []string{""}, kept.Audience[:1])
	assert.Equal(t, []string{""}, kept.Scopes[:1])
	assert.NotNil(t, mine.Scopes, "an empty list stays one")
	assert.Nil(t, (&resource.Token{}).Clone().Scopes)
}
