package crash

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/store"
)

// An operation is prepared, then cut off in one place, then checked.
type operation struct {
	name    string
	prepare func(x *lab) (do func() answer, check func(where string))
}

var operations = append(grants, administration...)

var grants = []operation{
	{"authorize", func(x *lab) (func() answer, func(string)) {
		verifier := strings.Repeat("v", 43)
		form := url.Values{"response_type": {"code"}, "client_id": {x.client}, "redirect_uri": {callback}, "scope": {"read"}, "state": {"s"},
			"code_challenge": {verifier}, "code_challenge_method": {"S256"}}
		return x.get("/oauth/authorize", form), func(where string) {
			for _, r := range x.live() {
				assert.Equal(x.t, store.TokenPending, r.State, "%s: an authorization without a code is alive", where)
			}
			assert.Equal(x.t, http.StatusOK, x.refresh(x.tokens().text("refresh_token")).status, where)
		}
	}},
	{"exchange", func(x *lab) (func() answer, func(string)) {
		code, verifier := x.grant()
		form := exchangeForm(x.client, code, verifier)
		return x.post("/oauth/token", form), func(where string) {
			active := 0
			for _, r := range x.live() {
				if r.State == store.TokenActive {
					active++
				}
			}
			a := x.ask("exchange again", "/oauth/token", form)
			if active == 0 { // it was cut off before the swap
				assert.Equal(x.t, http.StatusOK, a.status, "%s: the code is lost: %s", where, a.code)
				assert.Equal(x.t, http.StatusOK, x.refresh(a.text("refresh_token")).status, where)
				return
			}
			assert.Equal(x.t, "invalid_grant", a.code, "%s: a code was redeemed twice", where)
			assert.Empty(x.t, x.live(), "%s: tokens that nobody has are alive", where)
		}
	}},
	{"refresh", func(x *lab) (func() answer, func(string)) {
		form := refreshForm(x.client, x.tokens().text("refresh_token"))
		return x.post("/oauth/token", form), func(where string) {
			a, b := x.ask("refresh again", "/oauth/token", form), x.ask("refresh again", "/oauth/token", form)
			assert.Equal(x.t, http.StatusOK, a.status, "%s: signed out: %s", where, a.code)
			assert.Equal(x.t, a.text("refresh_token"), b.text("refresh_token"), "%s: two successors", where)
			assert.Equal(x.t, http.StatusOK, x.refresh(a.text("refresh_token")).status, where)
		}
	}},
	{"revoke", func(x *lab) (func() answer, func(string)) {
		token := x.tokens().text("refresh_token")
		form := url.Values{"client_id": {x.client}, "token": {token}}
		return x.post("/oauth/revoke", form), func(where string) {
			assert.Equal(x.t, http.StatusOK, x.ask("revoke again", "/oauth/revoke", form).status, where)
			assert.Equal(x.t, "invalid_grant", x.refresh(token).code, where)
			assert.Empty(x.t, x.live(), where)
		}
	}},
	{"revoke consent", func(x *lab) (func() answer, func(string)) {
		token := x.tokens().text("refresh_token")
		form := url.Values{"client_id": {x.client}}
		return x.post("/consent/revoke", form), func(where string) {
			if _, err := x.d.Store.Consent(x.t.Context(), subject, x.client); err != nil {
				require.ErrorIs(x.t, err, store.ErrNotFound)
			}
			x.ask("revoke consent again", "/consent/revoke", form)
			assert.Equal(x.t, "invalid_grant", x.refresh(token).code, where)
			assert.Empty(x.t, x.live(), where)
			_, err := x.d.Store.Consent(x.t.Context(), subject, x.client)
			assert.ErrorIs(x.t, err, store.ErrNotFound, where)
		}
	}},
	{"revoke user", func(x *lab) (func() answer, func(string)) {
		token := x.tokens().text("refresh_token")
		return x.post("/user/revoke", url.Values{}), func(where string) {
			assert.Equal(x.t, http.StatusOK, x.ask("revoke user again", "/user/revoke", url.Values{}).status, where)
			assert.Equal(x.t, "invalid_grant", x.refresh(token).code, where)
			assert.Empty(x.t, x.live(), where)
		}
	}},
	{"cleanup", func(x *lab) (func() answer, func(string)) {
		old := time.Now().AddDate(-1, 0, 0)
		ctx := x.t.Context()
		token := x.tokens().text("refresh_token")
		for i := range 3 {
			require.NoError(x.t, x.d.Store.CreateCode(ctx, store.Code{Kind: "code", Key: fmt.Sprint("old", i), PurgeAt: old}))
			require.NoError(x.t, x.d.Store.CreateToken(ctx, store.Token{ID: fmt.Sprint("old", i), ClientID: "c", PurgeAt: old, RevokedAt: old}))
		}
		return x.post("/cleanup", url.Values{}), func(where string) {
			assert.Equal(x.t, http.StatusOK, x.ask("cleanup again", "/cleanup", url.Values{}).status, where)
			for i := range 3 {
				_, err := x.d.Store.Code(ctx, "code", fmt.Sprint("old", i))
				assert.ErrorIs(x.t, err, store.ErrNotFound, where)
				_, err = x.d.Store.Token(ctx, fmt.Sprint("old", i))
				assert.ErrorIs(x.t, err, store.ErrNotFound, where)
			}
			assert.Equal(x.t, http.StatusOK, x.refresh(token).status, where)
		}
	}},
}
