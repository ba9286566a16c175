package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/store"
)

// pageOf registers a stranger and returns the consent page for it.
func (f *fixture) pageOf(c oauth.Client) string {
	f.t.Helper()
	if c.Trust == "" {
		c.Trust = store.TrustSelf
	}
	c.Public, c.Scopes = true, []string{"read"}
	if c.RedirectURIs == nil {
		c.RedirectURIs = []string{"https://stranger.example/cb"}
	}
	created, _, err := f.p.RegisterClient(f.t.Context(), c)
	require.NoError(f.t, err)
	a := f.authorize(alice(), authorization("x", "client_id", created.ID, "redirect_uri", c.RedirectURIs[0]))
	require.Equal(f.t, 200, a.status, a.body)
	return html.UnescapeString(a.body)
}

func marked(name string) string {
	return "It uses the name of “" + name + "”, but nothing shows that it is"
}

const mark = "It uses the name of"

func TestSEC106_BorrowedNamesAreMarked(t *testing.T) {
	f := newFixture(t)
	for name, known := range map[string]string{
		"Claude": "Claude", "CLAUDE": "Claude", "claude": "Claude", " Claude ": "Claude", "Claude!": "Claude", "*** Claude ***": "Claude",
		"Claude Desktop": "Claude", "Official Claude App": "Claude", "ClaudeDesktop": "Claude", "Claude 4": "Claude", "Claude4": "Claude", "Claude-Code": "Claude",
		"C l a u d e": "Claude", "C.L.A.U.D.E": "Claude", "Cl4ude": "Claude", "C1aude": "Claude", "CIaude": "Claude", "C|aude": "Claude", "Claud3": "Claude", "Cl@ude": "Claude",
		"Сlаudе": "Claude", "ϹΙаυⅾе": "Claude", "Claudé": "Claude", "Clau\u0301de": "Claude", "Cla\u200bude": "Claude", "Ｃｌａｕｄｅ": "Claude", "𝐂𝐥𝐚𝐮𝐝𝐞": "Claude", "𝒞laude": "Claude", "Ⓒⓛⓐⓤⓓⓔ": "Claude",
		"ChatGPT": "ChatGPT", "Chat GPT": "ChatGPT", "ChatGРТ": "ChatGPT", "VS Code": "VS Code", "VSCode": "VS Code", "V5 C0DE": "VS Code", "Visual Studio Code": "Visual Studio",
		"Cursor": "Cursor", "Сursоr": "Cursor", "Cursor IDE": "Cursor", "Zed": "Zed", "G00gle": "Google", "Micros0ft": "Microsoft", "Microsoft": "Microsoft", "rnicrosoft": "Microsoft", "VVindsurf": "Windsurf",
		"": "", "Claudette": "", "Zed is dead": "", "Clawed": "", "Excursor": "", "Notes": "", "日本語": "", "!!!": "", "4": "",
	} {
		t.Run("SEC-106 "+name, func(t *testing.T) {
			body := f.pageOf(oauth.Client{Name: name})
			if known == "" {
				assert.NotContains(t, body, mark)
				return
			}
			assert.Contains(t, body, marked(known))
		})
	}
}

// What a stranger can put beside or into a name, so that it is not found there
// and the eye still reads it.
func TestSEC106_AttacksOnTheMark(t *testing.T) {
	f := newFixture(t)
	for attack, names := range map[string][]string{
		"signs of a trademark":        {"Claude™", "Claude®", "Claude©", "Claude℠"},
		"signs of being verified":     {"Claude✓", "✔Claude", "★Claude★", "🔥Claude🔥", "Claude✅️"},
		"characters that nobody sees": {"Claude\u3164", "\u3164Claude", "Cla\u3164ude", "Cla\u115fude", "Cla\uffa0ude", "Claude\u2800", "Cla\u2800ude", "Claude\u00ad", "Claude\U000E0041", "\u202eClaude"},
		"other scripts":               {"Ꮯlaude", "ꓚꓡꓮꓴꓓꓰ", "ꮯlaude", "ⲥlaude", "Cꓡaude", "Cւaude", "Claudɘ", "Gɪᴛʜᴜʙ", "Cὐrsor"},
		"letters with a dot below":    {"Claụde", "Clạude", "Clauḍe"},
		"letters as signs":            {"ᶜˡᵃᵘᵈᵉ", "🅲laude", "🄲laude", "C🅻aude", "🇨🇱🇦🇺🇩🇪", "℃laude", "Claud℮"},
		"signs for letters":           {"Cl∂ude", "Cl∧ude", "Cl△ude", "C/aude", `C\aude`},
		"full-width signs beside it":  {"Claude！", "！Claude", "Claude＼Code", "C＠l＠a＠u＠d＠e", "Claude４Business"},
		"signs and digits in width":   {"Cl４ude", "Cl＠ude", "C｜aude", "Cl𝟒ude", "C𝟏aud𝟛", "Claude𝟰"},
		"digits beside it":            {"Claude4Business", "2Claude", "Claude1Code", "clаudе2desktop"},
		"scripts without spaces":      {"官方Claude", "Claude公式アプリ", "Приложение Claude"},
		"many words before it":        {strings.Repeat("a ", 30) + "Claude", strings.Repeat("aA", 22) + " Claude"},
	} {
		t.Run("SEC-106 "+attack, func(t *testing.T) {
			for _, name := range names {
				assert.Contains(t, f.pageOf(oauth.Client{Name: name}), mark, "%+q", name)
			}
		})
	}
	for _, name := range []string{"Ключ", "ΑΒΓΔΕ", "日本語アプリ", "★★★★★★", "🔥🔥🔥", "C++ tools", "2048", "Zażółć", "Måns"} {
		assert.NotContains(t, f.pageOf(oauth.Client{Name: name}), mark, name)
	}
	assert.NotContains(t, f.pageOf(oauth.Client{Name: "A\u3164B"}), "\u3164", "nor is it shown")
}

func TestProductsOfTheirOwnHostsAreNotMarked(t *testing.T) {
	loopback := []string{"http://127.0.0.1/callback"}
	for name, tt := range map[string]struct {
		client oauth.Client
		marked bool
	}{
		"document on the product's host":      {oauth.Client{ID: "https://claude.ai/oauth/claude-code-client-metadata", Name: "Claude Code", Trust: store.TrustDocument, RedirectURIs: loopback}, false},
		"document on a look-alike host":       {oauth.Client{ID: "https://claude.ai.evil.example/c", Name: "Claude Code", Trust: store.TrustDocument, RedirectURIs: loopback}, true},
		"document on another port":            {oauth.Client{ID: "https://claude.ai:8443/c", Name: "Claude Code", Trust: store.TrustDocument, RedirectURIs: loopback}, true},
		"document of another product":         {oauth.Client{ID: "https://vscode.dev/oauth/client-metadata.json", Name: "Claude", Trust: store.TrustDocument, RedirectURIs: loopback}, true},
		"document of VS Code":                 {oauth.Client{ID: "https://vscode.dev/oauth/client-metadata.json", Name: "Visual Studio Code", Trust: store.TrustDocument, RedirectURIs: loopback}, false},
		"registered, answered there":          {oauth.Client{Name: "Claude", RedirectURIs: []string{"https://claude.ai/api/mcp/auth_callback"}}, false},
		"registered, answered elsewhere":      {oauth.Client{Name: "Claude", RedirectURIs: []string{"https://claude.ai.evil.example/api/mcp/auth_callback"}}, true},
		"registered, answered where all goes": {oauth.Client{Name: "Google", RedirectURIs: []string{"https://www.google.com/amp/s/evil.example/cb"}}, true},
		"registered, answered on loopback":    {oauth.Client{Name: "Claude", RedirectURIs: loopback}, true},
		"an ID that only looks like an https": {oauth.Client{ID: "https://claude.ai/x", Name: "Claude", RedirectURIs: loopback}, true},
	} {
		t.Run(name, func(t *testing.T) {
			body := newFixture(t).pageOf(tt.client)
			assert.Equal(t, tt.marked, strings.Contains(body, mark), body)
		})
	}
}

func TestNamesOfTheOperatorsClientsAreMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.register(oauth.Client{ID: "acme", Name: "Acme Mobile Banking", Public: true, RedirectURIs: []string{appURI}})
		assert.Contains(t, f.pageOf(oauth.Client{Name: "acme mobi1e banking"}), marked("Acme Mobile Banking"))
		assert.Contains(t, f.pageOf(oauth.Client{Name: "The real ACME Mobile Banking 2"}), marked("Acme Mobile Banking"))
		assert.Contains(t, f.pageOf(oauth.Client{Name: "App"}), marked("App"), "whole, if it is short")
		f.register(oauth.Client{ID: "ja", Name: "日本語アプリ", Public: true, RedirectURIs: []string{appURI}})
		time.Sleep(time.Minute)
		assert.Contains(t, f.pageOf(oauth.Client{Name: "日本語アプリ"}), marked("日本語アプリ"), "of any script")
		assert.NotContains(t, f.pageOf(oauth.Client{Name: "Some App"}), mark)
		assert.NotContains(t, f.pageOf(oauth.Client{Name: "Stranger"}), mark, "the name of another stranger")

		f.register(oauth.Client{ID: "late", Name: "Latecomer", Public: true, RedirectURIs: []string{appURI}})
		time.Sleep(time.Minute)
		assert.Contains(t, f.pageOf(oauth.Client{Name: "Latecomer"}), marked("Latecomer"))
		require.NoError(t, f.p.DeleteClient(t.Context(), "late"))
		time.Sleep(time.Minute)
		assert.NotContains(t, f.pageOf(oauth.Client{Name: "Latecomer"}), mark)
	})
}

// A page must not cost more because many clients have registered themselves.
func TestNamesAreFoundAmongManyClientsAPartAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := &listCounter{Store: store.NewMemory()}
		f := newFixture(t, func(c *oauth.Config) { c.Store = counted })
		for i := range 4500 {
			require.NoError(t, counted.CreateClient(t.Context(), store.Client{ID: fmt.Sprintf("m%05d", i), Name: "Claude", Trust: store.TrustSelf, Public: true}))
		}
		f.register(oauth.Client{ID: "z", Name: "Zebra", Public: true, RedirectURIs: []string{appURI}})
		for minute, known := range []bool{false, false, true} {
			before := counted.lists
			body := f.pageOf(oauth.Client{Name: "Zebra"})
			assert.Equal(t, known, strings.Contains(body, mark), minute)
			f.pageOf(oauth.Client{Name: "Zebra"})
			assert.LessOrEqual(t, counted.lists-before, 10)
			time.Sleep(time.Minute)
		}
	})
}

type listCounter struct {
	store.Store
	lists int
	err   error
	first func() // called once
}

func (s *listCounter) ListClients(ctx context.Context, after string, limit int) ([]store.Client, error) {
	s.lists++
	if s.err != nil {
		return nil, s.err
	}
	if s.first != nil {
		s.first()
		s.first = nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.Store.ListClients(ctx, after, limit)
}

func TestThePageIsShownThoughNamesAreNotKnown(t *testing.T) {
	for _, tt := range []struct {
		err     error
		outages int
	}{{errors.New("the database is away"), 1}, {errors.ErrUnsupported, 0}} {
		f := newFixture(t, func(c *oauth.Config) { c.Store = &listCounter{Store: c.Store, err: tt.err} })
		assert.Contains(t, f.pageOf(oauth.Client{Name: "Claude"}), marked("Claude"))
		assert.NotContains(t, f.pageOf(oauth.Client{Name: "App"}), mark)
		assert.Len(t, f.kinds(oauth.EventOutage), tt.outages)
	}
}

// A stranger who asks for a page and leaves at once must not keep names unknown.
func TestWhoLeavesThePageDoesNotKeepNamesFromOthers(t *testing.T) {
	counted := &listCounter{Store: store.NewMemory()}
	f := newFixture(t, func(c *oauth.Config) { c.Store = counted })
	created, _, err := f.p.RegisterClient(t.Context(), oauth.Client{Name: "App", Trust: store.TrustSelf, Public: true, Scopes: []string{"read"}, RedirectURIs: []string{"https://stranger.example/cb"}})
	require.NoError(t, err)
	ctx, leave := context.WithCancel(t.Context())
	counted.first = leave
	v := authorization("x", "client_id", created.ID, "redirect_uri", "https://stranger.example/cb")
	f.p.ServeHTTP(httptest.NewRecorder(), alice().request("GET", "/oauth/authorize?"+v.Encode(), nil).WithContext(ctx))
	require.Error(t, ctx.Err())
	assert.Contains(t, f.pageOf(oauth.Client{Name: "App"}), marked("App"))
	assert.Empty(t, f.kinds(oauth.EventOutage))
}
