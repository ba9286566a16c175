package crash

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// answer is what a client got: a status, or 0 if it never learned.
type answer struct {
	status int
	code   string // the OAuth error
	body   map[string]any
	where  string // of a redirect
}

// known reports whether the server has decided. A 5xx is an outage: the request
// may have had its effect.
func (a answer) known() bool { return a.status != 0 && a.status < 500 }

func (a answer) text(name string) string {
	s, _ := a.body[name].(string)
	return s
}

// journal is a file with a line before each request and one after. It outlives
// the test's own process, for whoever has to look into a failure.
type journal struct {
	mu   sync.Mutex
	file *os.File
	n    int
}

func (j *journal) write(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.n++
	fmt.Fprintf(j.file, "%s "+format+"\n", append([]any{time.Now().Format("15:04:05.000000")}, args...)...)
}

// browser sends the requests of all clients, each to an instance by chance.
type browser struct {
	f       *fleet
	http    *http.Client
	journal *journal

	counts *tally // of unanswered requests: the client never learned their effect
}

func newBrowser(f *fleet, j *journal, counts *tally) *browser {
	return &browser{f: f, journal: j, counts: counts, http: &http.Client{
		Timeout:       20 * time.Second,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// send sends a request once.
func (b *browser) send(ctx context.Context, what, method, path string, form url.Values, token string) answer {
	in := b.f.instances[mathrand.IntN(len(b.f.instances))]
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(form.Encode())
	} else if form != nil {
		path += "?" + form.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+in.addr+path, body)
	if err != nil {
		return answer{}
	}
	req.Host = strings.TrimPrefix(b.f.issuer, "http://")
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	b.journal.write("> %s %s", what, in.addr)
	res, err := b.http.Do(req)
	if err != nil {
		b.counts.add("unanswered")
		b.journal.write("? %s %v", what, err)
		return answer{}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil { // cut off: the client cannot use it
		b.counts.add("unanswered")
		b.journal.write("? %s %d and %v", what, res.StatusCode, err)
		return answer{}
	}
	a := answer{status: res.StatusCode, where: res.Header.Get("Location")}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&a.body); err != nil {
		a.body = nil
	}
	a.code = a.text("error")
	if !a.known() {
		b.counts.add("unanswered")
		if method == http.MethodPost && strings.HasPrefix(path, "/oauth/") && a.code != "server_error" && a.code != "temporarily_unavailable" {
			b.counts.violation("%s: %d with the code %q", what, a.status, a.code)
		}
	}
	b.journal.write("< %s %d %s", what, a.status, a.code)
	return a
}

// until sends the request again until the server has decided.
func (b *browser) until(ctx context.Context, what, method, path string, form url.Values, token string) (answer, error) {
	for try := 0; ; try++ {
		a := b.send(ctx, what, method, path, form, token)
		if a.known() {
			return a, nil
		}
		select {
		case <-ctx.Done():
			return a, fmt.Errorf("%s: no answer: %w", what, ctx.Err())
		case <-time.After(time.Duration(min(try, 10)) * 10 * time.Millisecond):
		}
	}
}

// authorize gets a code. What it loses on the way is never redeemed.
func (b *browser) authorize(ctx context.Context, client string) (code, verifier string, err error) {
	return b.prompted(ctx, client, nil)
}

// prompted is authorize with a prompt parameter, if there is one.
func (b *browser) prompted(ctx context.Context, client string, prompt []string) (code, verifier string, err error) {
	verifier = rand.Text() + rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	a, err := b.until(ctx, "authorize "+client, http.MethodGet, "/oauth/authorize", url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {callback}, "scope": {"read"}, "state": {"s"}, "prompt": prompt,
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}, "")
	if err != nil {
		return "", "", err
	}
	u, err := url.Parse(a.where)
	if err != nil || u.Query().Get("code") == "" {
		switch e := u.Query().Get("error"); e {
		case "server_error", "temporarily_unavailable":
			return "", "", errOutage
		case "consent_required":
			return "", "", errNoConsent
		}
		return "", "", fmt.Errorf("authorize: %d %s", a.status, a.where)
	}
	return u.Query().Get("code"), verifier, nil
}

// errNoConsent is a server's word that the user would have to be asked.
var errNoConsent = errors.New("no consent")

// errOutage is a server's word that it could not answer.
var errOutage = errors.New("outage")

func exchangeForm(client, code, verifier string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "client_id": {client}, "redirect_uri": {callback}, "code": {code}, "code_verifier": {verifier}}
}

func refreshForm(client, token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {token}}
}
