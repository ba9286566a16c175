package site

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func begin(s *sessions, subject string) *http.Request {
	w := httptest.NewRecorder()
	s.begin(w, httptest.NewRequest(http.MethodPost, "/login", nil), subject)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(w.Result().Cookies()[0])
	return r
}

func TestSessionsAreBounded(t *testing.T) {
	s := &sessions{byID: map[string]session{}}
	first := begin(s, "first")
	for i := range maxSessions - 1 {
		begin(s, fmt.Sprint(i))
	}
	_, ok := s.find(first)
	assert.True(t, ok)
	for range 10 {
		last := begin(s, "last")
		in, ok := s.find(last)
		assert.True(t, ok)
		assert.Equal(t, "last", in.subject)
	}
	_, ok = s.find(first)
	assert.False(t, ok, "the oldest had to go")
	assert.Len(t, s.byID, maxSessions)
	assert.Len(t, s.order, maxSessions)
}

func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sessions{byID: map[string]session{}}
		r := begin(s, "ada")
		time.Sleep(sessionLifetime - time.Second)
		_, ok := s.find(r)
		assert.True(t, ok)
		time.Sleep(time.Second)
		_, ok = s.find(r)
		assert.False(t, ok)
		begin(s, "ben")
		assert.Len(t, s.byID, 1, "what has ended makes room")
	})
}
