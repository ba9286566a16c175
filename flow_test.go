package oauth_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWholeFlow(t *testing.T) {
	for _, client := range []string{"app", "loop", "local", "self", "first", "conf", "post"} {
		t.Run(client, func(t *testing.T) {
			f := newFixture(t)
			first := f.login(client, "scope", "read write")
			assert.Equal(t, "read write", first.Scope)
			assert.Equal(t, int64(3600), first.ExpiresIn)
			assert.True(t, f.active(first.AccessToken))

			second := f.ok(f.refresh(client, first.RefreshToken))
			assert.NotEqual(t, first.RefreshToken, second.RefreshToken)
			assert.NotEqual(t, first.AccessToken, second.AccessToken)

			a := f.post("/oauth/revoke", client, map[string][]string{"token": {second.AccessToken}})
			assert.Equal(t, http.StatusOK, a.status)
			assert.Empty(t, a.body)
			for _, token := range []string{first.AccessToken, second.AccessToken, second.RefreshToken} {
				assert.False(t, f.active(token))
			}
			f.refused(f.refresh(client, second.RefreshToken), 400, "invalid_grant")
		})
	}
}
