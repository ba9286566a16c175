package main

import (
	"crypto/rand"
	"net/http"
)

const maxLog = 6

// visitor returns what belongs to this browser, and gives it a cookie if it has
// none. When there are too many, those before are forgotten.
func (c *clientApp) visitor(w http.ResponseWriter, r *http.Request) *visitor {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cookie, err := r.Cookie(clientCookie); err == nil {
		if v, ok := c.visitors[cookie.Value]; ok {
			return v
		}
	}
	if len(c.visitors) >= maxVisitors {
		clear(c.visitors)
	}
	id, v := rand.Text(), &visitor{}
	c.visitors[id] = v
	http.SetCookie(w, &http.Cookie{
		Name: clientCookie, Value: id, Path: "/", HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
	})
	return v
}

func (v *visitor) note(what string) {
	v.log = append(v.log, what)
	v.log = v.log[max(0, len(v.log)-maxLog):]
}

// home shows how things stand. Of a token it shows the end, enough to see that
// it has changed.
func (c *clientApp) home(w http.ResponseWriter, r *http.Request) {
	v := c.visitor(w, r)
	v.mu.Lock()
	defer v.mu.Unlock()
	page := map[string]any{"Issuer": c.issuer, "Log": v.log}
	if v.token != nil {
		page["Connected"] = true
		page["Access"], page["Refresh"] = ending(v.token.AccessToken), ending(v.token.RefreshToken)
		page["Expires"] = v.token.Expiry.Format("15:04:05")
		page["Scope"] = v.token.Extra("scope")
	}
	c.pages.Show(w, http.StatusOK, "client", page)
}

func ending(token string) string {
	return "…" + token[max(0, len(token)-6):]
}
