package serve_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/examples/internal/serve"
	"github.com/seed-e797c9ce/oauth/store"
)

// listener says when it is closed.
type listener struct {
	net.Listener
	once   sync.Once
	closed chan struct{}
}

func listen(t *testing.T) *listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return &listener{Listener: l, closed: make(chan struct{})}
}

func (l *listener) url() string { return "http://" + l.Addr().String() }

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

func get(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if !assert.NoError(t, err) {
		return ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	assert.NoError(t, err)
	return string(text)
}

func say(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, text) })
}

func TestRequestsThatRunAreFinished(t *testing.T) {
	slow, fast := listen(t), listen(t)
	began, finish := make(chan struct{}), make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- serve.All(ctx, map[net.Listener]http.Handler{fast: say("at once"), slow: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(began)
			<-finish
			io.WriteString(w, "in the end")
		})})
	}()
	assert.Equal(t, "at once", get(t, fast.url()))

	var answer string
	var asking sync.WaitGroup
	asking.Go(func() { answer = get(t, slow.url()) })
	<-began
	stop()
	<-slow.closed
	close(finish)
	asking.Wait()
	assert.Equal(t, "in the end", answer)
	assert.NoError(t, <-ended)
	<-fast.closed
}

func TestOneListenerThatFailsEndsAll(t *testing.T) {
	good, bad := listen(t), listen(t)
	require.NoError(t, bad.Listener.Close())
	err := serve.All(t.Context(), map[net.Listener]http.Handler{good: say("good"), bad: say("bad")})
	assert.ErrorIs(t, err, net.ErrClosed)
	<-good.closed
}

// checked is what Check logs about a provider, over its own URL.
func checked(t *testing.T, ctx context.Context, handler func(p *oauth.Provider) http.Handler) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	t.Cleanup(srv.Close)
	p, err := oauth.New(oauth.Config{
		Issuer: "http://" + srv.Listener.Addr().String(), Store: store.NewMemory(), LoginURL: "/login",
		Session: func(*http.Request) (oauth.Session, error) { return oauth.Session{}, nil },
		Logger:  slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	srv.Config.Handler = handler(p)
	srv.Start()
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	serve.Check(ctx, p)
	return log.String()
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	provider := func(p *oauth.Provider) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/", p)
		mux.Handle("/login", say("Sign in"))
		return mux
	}
	assert.Empty(t, checked(t, t.Context(), provider))

	elsewhere := func(p *oauth.Provider) http.Handler { return http.StripPrefix("/auth", p) }
	log := checked(t, t.Context(), elsewhere)
	assert.Contains(t, log, "level=WARN msg=check finding=")
	assert.Contains(t, log, "/.well-known/oauth-authorization-server")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Empty(t, checked(t, ended, elsewhere), "a program that ends has nothing to say")
}
