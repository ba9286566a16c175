package browser_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed-e797c9ce/oauth/examples/internal/browser"
)

// serve is a site with a form, which sends on to a client that is not there.
func serve(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: "yes"})
		http.Redirect(w, r, "/form", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /form", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `“Ada &amp; Ben” <form method="post" action="/form"><input type="hidden" name="token" value="a&amp;b"></form>`)
	})
	mux.HandleFunc("POST /form", func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie("seen")
		if err != nil || r.PostFormValue("token") != "a&b" {
			http.Error(w, "who are you?", http.StatusForbidden)
			return
		}
		http.Redirect(w, r, "http://127.0.0.1:1/callback?seen="+cookie.Value+"&scope="+r.PostForm["scope"][1], http.StatusSeeOther)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestAPersonWithABrowser(t *testing.T) {
	site := serve(t)
	b := browser.New(t)
	b.Stop = "http://127.0.0.1:1/callback"
	b.Open(site)
	assert.Equal(t, "/form", b.At.Path, "redirects are followed")
	assert.Contains(t, b.Page, "“Ada & Ben”", "as it is read")
	assert.Nil(t, b.Answer)
	b.Submit("/form", "scope", "read", "scope", "write")
	assert.Equal(t, "http://127.0.0.1:1/callback?seen=yes&scope=write", b.Answer.String(), "but not to the client")

	other := browser.New(t)
	other.Open(site + "/form")
	other.Submit("/form", "scope", "read")
	assert.Contains(t, other.Page, "who are you?", "it has cookies of its own")
}
