package crash

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/assertion"
	"github.com/seed-e797c9ce/oauth/registration"
	"github.com/seed-e797c9ce/oauth/resource"
	"github.com/seed-e797c9ce/oauth/store"
	"github.com/seed-e797c9ce/oauth/store/sqlstore"
)

// The program of the crash points is made of this package's tests (buildMortal),
// and started with these in its environment.
const (
	childDriver, childDSN, childDialect = "OAUTH_CRASH_DRIVER", "OAUTH_CRASH_DSN", "OAUTH_CRASH_DIALECT"
	childPrefix, childSchema            = "OAUTH_CRASH_PREFIX", "OAUTH_CRASH_SCHEMA"
	childAddr                           = "OAUTH_CRASH_ADDR"
	childSecrets                        = "OAUTH_CRASH_SECRETS" // the secret, and those that are retired
)

// crashAt is the header that says where in a request the program is to end:
// "before 2", "after 2" (its second call of the store), or "reply".
const crashAt = "Crash-At"

// point is the place of one request.
type point struct {
	when  string
	n     int64
	calls atomic.Int64
}

type pointKey struct{}

func pointOf(ctx context.Context) *point {
	p, _ := ctx.Value(pointKey{}).(*point)
	return p
}

// at runs before a call of the store, and what it returns after it.
func (m mortal) at(ctx context.Context) func() {
	p := pointOf(ctx)
	if p == nil {
		p = m.start
	}
	if p == nil {
		return func() {}
	}
	n := p.calls.Add(1)
	p.die("before", n)
	return func() { p.die("after", n) }
}

func (p *point) die(when string, n int64) {
	if p.when != when || p.n != n {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // until the signal has come
}

// mortal is a store whose calls can be the last thing that the process does.
type mortal struct {
	store.Store
	start *point // of calls that no request makes: those of a provider that starts
}

func (m mortal) DeleteExpired(ctx context.Context, before time.Time, limit int) (store.Deleted, error) {
	defer m.at(ctx)()
	return m.Store.DeleteExpired(ctx, before, limit)
}

func (m mortal) CreateClient(ctx context.Context, c store.Client) error {
	defer m.at(ctx)()
	return m.Store.CreateClient(ctx, c)
}

func (m mortal) UpdateClient(ctx context.Context, c store.Client) error {
	defer m.at(ctx)()
	return m.Store.UpdateClient(ctx, c)
}

func (m mortal) DeleteClient(ctx context.Context, id string) error {
	defer m.at(ctx)()
	return m.Store.DeleteClient(ctx, id)
}

func (m mortal) Client(ctx context.Context, id string) (store.Client, error) {
	defer m.at(ctx)()
	return m.Store.Client(ctx, id)
}

func (m mortal) Code(ctx context.Context, kind, key string) (store.Code, error) {
	defer m.at(ctx)()
	return m.Store.Code(ctx, kind, key)
}

func (m mortal) CreateCode(ctx context.Context, c store.Code) error {
	defer m.at(ctx)()
	return m.Store.CreateCode(ctx, c)
}

func (m mortal) UpdateCode(ctx context.Context, c store.Code) error {
	defer m.at(ctx)()
	return m.Store.UpdateCode(ctx, c)
}

func (m mortal) ConsumeCode(ctx context.Context, kind, key string, when time.Time) (store.Code, error) {
	defer m.at(ctx)()
	return m.Store.ConsumeCode(ctx, kind, key, when)
}

func (m mortal) Token(ctx context.Context, id string) (store.Token, error) {
	defer m.at(ctx)()
	return m.Store.Token(ctx, id)
}

func (m mortal) CreateToken(ctx context.Context, t store.Token) error {
	defer m.at(ctx)()
	return m.Store.CreateToken(ctx, t)
}

func (m mortal) UpdateToken(ctx context.Context, t store.Token) error {
	defer m.at(ctx)()
	return m.Store.UpdateToken(ctx, t)
}

func (m mortal) RevokeTokens(ctx context.Context, q store.TokenQuery, when, purgeAt time.Time) (int, error) {
	defer m.at(ctx)()
	return m.Store.RevokeTokens(ctx, q, when, purgeAt)
}

func (m mortal) ListTokens(ctx context.Context, q store.TokenQuery, after string, limit int) ([]store.Token, error) {
	defer m.at(ctx)()
	return m.Store.ListTokens(ctx, q, after, limit)
}

func (m mortal) Consent(ctx context.Context, user, client string) (store.Consent, error) {
	defer m.at(ctx)()
	return m.Store.Consent(ctx, user, client)
}

func (m mortal) GrantConsent(ctx context.Context, c store.Consent) error {
	defer m.at(ctx)()
	return m.Store.GrantConsent(ctx, c)
}

func (m mortal) RevokeConsents(ctx context.Context, q store.ConsentQuery) (int, error) {
	defer m.at(ctx)()
	return m.Store.RevokeConsents(ctx, q)
}

// halfReply keeps an answer back, to send half of it.
type halfReply struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (h *halfReply) WriteHeader(status int)      { h.status = status }
func (h *halfReply) Write(p []byte) (int, error) { return h.body.Write(p) }

func (h *halfReply) die() {
	if h.body.Len() == 0 { // the status is all of it
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	h.Header().Set("Content-Length", strconv.Itoa(h.body.Len()+1))
	h.ResponseWriter.WriteHeader(max(h.status, http.StatusOK))
	_, _ = h.ResponseWriter.Write(h.body.Bytes()[:h.body.Len()/2])
	_ = http.NewResponseController(h.ResponseWriter).Flush()
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// child serves until it is killed.
func child() error {
	db, err := sql.Open(os.Getenv(childDriver), os.Getenv(childDSN))
	if err != nil {
		return err
	}
	s, err := sqlstore.New(db, sqlstore.Dialect(os.Getenv(childDialect)), sqlstore.Options{Prefix: os.Getenv(childPrefix), Schema: os.Getenv(childSchema)})
	if err != nil {
		return err
	}
	p, err := newProvider(mortal{Store: s}, "http://"+os.Getenv(childAddr), strings.Split(os.Getenv(childSecrets), ","))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	for path, h := range p.Routes() {
		mux.Handle(path, h)
	}
	answer := func(w http.ResponseWriter, n int, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, n)
	}
	mux.HandleFunc("POST /consent/revoke", func(w http.ResponseWriter, r *http.Request) {
		n, err := p.RevokeConsent(r.Context(), subject, r.FormValue("client_id"))
		answer(w, n, err)
	})
	mux.HandleFunc("POST /user/revoke", func(w http.ResponseWriter, r *http.Request) {
		n, err := p.RevokeUser(r.Context(), subject, "")
		answer(w, n, err)
	})
	mux.HandleFunc("POST /instance", func(w http.ResponseWriter, r *http.Request) {
		_, err := newProvider(mortal{s, pointOf(r.Context())}, "http://"+os.Getenv(childAddr), strings.Split(r.FormValue("secrets"), ","))
		answer(w, 0, err)
	})
	mux.HandleFunc("POST /client/delete", func(w http.ResponseWriter, r *http.Request) {
		err := p.DeleteClient(r.Context(), r.FormValue("client_id"))
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		answer(w, 0, err)
	})
	mux.HandleFunc("POST /cleanup", func(w http.ResponseWriter, r *http.Request) {
		deleted, err := p.Cleanup(r.Context())
		answer(w, deleted.Codes, err)
	})
	mux.HandleFunc("GET /api/me", func(w http.ResponseWriter, r *http.Request) {
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		_, err := p.Verifier().VerifyToken(r.Context(), token)
		if errors.Is(err, resource.ErrInvalidToken) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer(w, 0, err)
	})
	l, err := net.Listen("tcp", os.Getenv(childAddr))
	if err != nil {
		return err
	}
	fmt.Println("listening")
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		when, n, _ := strings.Cut(r.Header.Get(crashAt), " ")
		if when == "reply" {
			h := &halfReply{ResponseWriter: w}
			mux.ServeHTTP(h, r)
			h.die()
		}
		count, _ := strconv.ParseInt(n, 10, 64)
		mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), pointKey{}, &point{when: when, n: count})))
	}))
}

func newProvider(s store.Store, issuer string, secrets []string) (*oauth.Provider, error) {
	var p *oauth.Provider
	cfg := oauth.Config{
		Issuer: issuer, Store: s, Scopes: map[string]string{"read": "Read"}, Secret: []byte(secrets[0]),
		Logger: slog.New(slog.DiscardHandler),
		Session: func(*http.Request) (oauth.Session, error) {
			return oauth.Session{Subject: subject, AuthTime: time.Now(), ID: "session"}, nil
		},
		Interact: func(w http.ResponseWriter, r *http.Request, req *oauth.AuthorizationRequest) {
			if err := p.Approve(w, r, req, req.Scopes); err != nil {
				log.Print(err)
			}
		},
		Extensions: []oauth.Extension{assertion.New(assertion.Config{}), registration.New(registration.Config{Scopes: []string{"read"}})},
	}
	for _, retired := range secrets[1:] {
		cfg.RetiredSecrets = append(cfg.RetiredSecrets, []byte(retired))
	}
	p, err := oauth.New(cfg)
	return p, err
}
