// Package browser is, for the tests of the examples, a person with a browser.
package browser

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Browser follows redirects, keeps cookies, and knows the page it is on.
type Browser struct {
	At   *url.URL
	Page string // HTML, with its entities resolved

	// Stop is an address at which redirects are not followed: where a client
	// would be. Answer is the redirect that went there.
	Stop   string
	Answer *url.URL

	t    testing.TB
	http *http.Client
}

// New returns a browser without cookies. No script runs in it.
func New(t testing.TB) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	b := &Browser{t: t, http: &http.Client{Jar: jar, Timeout: time.Minute}}
	b.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if b.Stop != "" && strings.HasPrefix(r.URL.String(), b.Stop) {
			b.Answer = r.URL
			return http.ErrUseLastResponse
		}
		return nil
	}
	return b
}

// Open goes to an address.
func (b *Browser) Open(u string) {
	b.t.Helper()
	b.show(b.http.Get(u))
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

// Submit sends the form of the page with this action: its hidden fields, and
// names and values in turn.
func (b *Browser) Submit(action string, fields ...string) {
	b.t.Helper()
	require.Contains(b.t, b.Page, `action="`+action+`"`)
	form := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(b.Page, -1) {
		form.Set(m[1], m[2])
	}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	target, err := b.At.Parse(action)
	require.NoError(b.t, err)
	b.show(b.http.PostForm(target.String(), form))
}

func (b *Browser) show(res *http.Response, err error) {
	b.t.Helper()
	require.NoError(b.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	b.At, b.Page = res.Request.URL, html.UnescapeString(string(text))
}
