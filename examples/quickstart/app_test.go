package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-e797c9ce/oauth/examples/internal/browser"
)

func TestProgramsAddNotes(t *testing.T) {
	appURL, _ := start(t)
	c := oauth2.NewClient(t.Context(), oauth2.StaticTokenSource(authorize(t, appURL, func(b *browser.Browser) {
		signIn(b, "ada", "lovelace")
		allow(b)
	})))
	call := func(method, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, appURL+"/api/notes", strings.NewReader(body))
		require.NoError(t, err)
		res, err := c.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, strings.TrimSpace(string(text))
	}
	status, text := call(http.MethodPost, `{"Note": " Call Ben "}`)
	assert.Equal(t, http.StatusOK, status)
	assert.JSONEq(t, `{"notes": ["Buy coffee", "Ask Ben about Friday", "Call Ben"]}`, text)
	for _, body := range []string{"", "no JSON", `{"Note": " "}`, `{"Note": "` + strings.Repeat("x", maxNote+1) + `"}`, `{"Note": "` + strings.Repeat(" ", 3*maxNote) + `"}`} {
		status, text = call(http.MethodPost, body)
		assert.Equal(t, http.StatusBadRequest, status, body)
		assert.Equal(t, "the note is empty or too long, or there are too many", text, body)
	}
	status, _ = call(http.MethodDelete, "")
	assert.Equal(t, http.StatusMethodNotAllowed, status)

	for range maxNotes - 3 {
		status, _ = call(http.MethodPost, `{"Note": "one more"}`)
		require.Equal(t, http.StatusOK, status)
	}
	status, _ = call(http.MethodPost, `{"Note": "one too many"}`)
	assert.Equal(t, http.StatusBadRequest, status)
}

func TestTheFormTakesNoEmptyNote(t *testing.T) {
	appURL, _ := start(t)
	b := browser.New(t)
	b.Open(appURL)
	signIn(b, "ben", "wheeler")
	b.Submit("/notes", "note", " ")
	assert.Contains(t, b.Page, "The note is empty or too long")
}
