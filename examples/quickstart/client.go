package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/seed-e797c9ce/oauth/examples/internal/site"
)

const (
	maxVisitors  = 1000
	maxAnswer    = 64 << 10 // bytes of the API's answers that are shown
	clientCookie = "client_session"
	callTimeout  = 10 * time.Second
)

// clientApp is somebody else's program: it knows the provider's URLs and its own
// client ID, and nothing of the app beyond them.
type clientApp struct {
	oauth     *oauth2.Config
	issuer    string
	notesURL  string
	revokeURL string
	http      *http.Client
	pages     *site.Pages

	mu       sync.Mutex
	visitors map[string]*visitor // by cookie
}

// visitor is one browser at the client app.
type visitor struct {
	mu       sync.Mutex
	state    string
	verifier string // PKCE
	token    *oauth2.Token
	log      []string // what happened, newest last
}

func newClientApp(issuer, clientID, redirectURI string, pages *site.Pages) *clientApp {
	return &clientApp{
		oauth: &oauth2.Config{
			ClientID: clientID, RedirectURL: redirectURI, Scopes: []string{"notes"},
			Endpoint: oauth2.Endpoint{
				AuthURL: issuer + "/oauth/authorize", TokenURL: issuer + "/oauth/token",
				AuthStyle: oauth2.AuthStyleInParams,
			},
		},
		issuer: issuer, notesURL: issuer + "/api/notes", revokeURL: issuer + "/oauth/revoke",
		http: &http.Client{Timeout: callTimeout}, pages: pages, visitors: map[string]*visitor{},
	}
}

func (c *clientApp) handler() http.Handler {
	mux, forms := http.NewServeMux(), http.NewCrossOriginProtection()
	mux.HandleFunc("GET /style.css", site.Style)
	mux.HandleFunc("GET /{$}", c.home)
	mux.HandleFunc("GET /callback", c.callback)
	mux.Handle("POST /connect", forms.Handler(http.HandlerFunc(c.connect)))
	for path, do := range map[string]func(context.Context, *visitor) string{
		"/notes": c.readNotes, "/refresh": c.refresh, "/revoke": c.revoke,
	} {
		mux.Handle("POST "+path, forms.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			v := c.visitor(w, r)
			v.mu.Lock()
			defer v.mu.Unlock()
			if v.token != nil {
				v.note(do(r.Context(), v))
			}
			http.Redirect(w, r, "/", http.StatusSeeOther)
		})))
	}
	return mux
}

// connect sends the browser to the provider (RFC 6749 §4.1.1, RFC 7636 §4.3).
func (c *clientApp) connect(w http.ResponseWriter, r *http.Request) {
	v := c.visitor(w, r)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.state, v.verifier = rand.Text(), oauth2.GenerateVerifier()
	http.Redirect(w, r, c.oauth.AuthCodeURL(v.state, oauth2.S256ChallengeOption(v.verifier)), http.StatusSeeOther)
}

// callback takes the provider's answer: for this browser (state), from this
// provider (iss, RFC 9207), once.
func (c *clientApp) callback(w http.ResponseWriter, r *http.Request) {
	v, q := c.visitor(w, r), r.URL.Query()
	v.mu.Lock()
	defer v.mu.Unlock()
	state := v.state
	v.state = ""
	switch {
	case state == "" || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 || q.Get("iss") != c.issuer:
		v.note("An answer came that this app had not asked for. It was ignored.")
	case q.Has("error"):
		v.note("The provider refused: " + q.Get("error"))
	default:
		token, err := c.oauth.Exchange(c.context(r.Context()), q.Get("code"), oauth2.VerifierOption(v.verifier))
		if err != nil {
			v.note("The code was not accepted: " + reason(err))
			break
		}
		v.token = token
		v.note("Connected.")
		v.note(c.readNotes(r.Context(), v))
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (c *clientApp) readNotes(ctx context.Context, v *visitor) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.notesURL, nil)
	if err != nil {
		return "The API cannot be called: " + err.Error()
	}
	v.token.SetAuthHeader(req)
	return c.call("The API", req)
}

// refresh trades the refresh token for new tokens, however long the access token
// would have lived (RFC 6749 §6).
func (c *clientApp) refresh(ctx context.Context, v *visitor) string {
	token, err := c.oauth.TokenSource(c.context(ctx), &oauth2.Token{RefreshToken: v.token.RefreshToken}).Token()
	if err != nil {
		return "The refresh token was not accepted: " + reason(err)
	}
	v.token = token
	return "Both tokens were replaced."
}

// revoke gives the tokens back (RFC 7009). The client keeps what it has, to show
// that it is worth nothing any more.
func (c *clientApp) revoke(ctx context.Context, v *visitor) string {
	form := url.Values{"token": {v.token.RefreshToken}, "client_id": {c.oauth.ClientID}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.revokeURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "The provider cannot be called: " + err.Error()
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.call("The provider, asked to revoke the tokens,", req)
}

func (c *clientApp) call(who string, req *http.Request) string {
	res, err := c.http.Do(req)
	if err != nil {
		return who + " cannot be reached: " + err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return who + " did not finish its answer: " + err.Error()
	}
	return strings.TrimSpace(fmt.Sprintf("%s answered %s\n%s", who, res.Status, body))
}

func (c *clientApp) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, c.http)
}

// reason is what may be shown of an error: x/oauth2's own text has the whole
// answer in it.
func reason(err error) string {
	if e, ok := err.(*oauth2.RetrieveError); ok {
		return e.ErrorCode
	}
	return "the provider cannot be reached"
}
