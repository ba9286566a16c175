package main

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-e797c9ce/oauth"
)

type subjectKey struct{}

// protect lets requests with a token for notes through.
func protect(p *oauth.Provider, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		in, err := p.Introspect(r.Context(), nil, token)
		switch {
		case err != nil:
			http.Error(w, "try again later", http.StatusServiceUnavailable)
		case !in.Active || in.TokenType != "Bearer" || !slices.Contains(strings.Fields(in.Scope), "notes"):
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			http.Error(w, "the token is not valid", http.StatusUnauthorized)
		default:
			h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), subjectKey{}, in.Subject)))
		}
	})
}
