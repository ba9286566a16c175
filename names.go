package oauth

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/seed-e797c9ce/oauth/store"
)

// products are programs that many users know by name, with the hosts that are
// theirs: a metadata document, or an answer, on one of these is their own. Names
// of makers stand beside those of programs.
var products = []struct {
	name  string
	hosts []string
}{
	{"Anthropic", []string{"claude.ai", "claude.com", "anthropic.com", "www.anthropic.com"}},
	{"ChatGPT", []string{"chatgpt.com", "openai.com", "platform.openai.com"}},
	{"Claude", []string{"claude.ai", "claude.com", "anthropic.com", "www.anthropic.com"}},
	{"Codex", []string{"chatgpt.com", "openai.com"}},
	{"Copilot", []string{"github.com", "copilot.microsoft.com", "vscode.dev"}},
	{"Cursor", []string{"cursor.com", "www.cursor.com"}},
	{"Gemini", []string{"gemini.google.com", "geminicli.com"}},
	{"GitHub", []string{"github.com"}},
	{"Google", []string{"google.com", "www.google.com", "gemini.google.com"}},
	{"JetBrains", []string{"jetbrains.com", "www.jetbrains.com"}},
	{"Le Chat", []string{"chat.mistral.ai", "mistral.ai"}},
	{"Microsoft", []string{"microsoft.com", "www.microsoft.com", "copilot.microsoft.com", "vscode.dev"}},
	{"Mistral", []string{"mistral.ai", "chat.mistral.ai"}},
	{"OpenAI", []string{"openai.com", "platform.openai.com", "chatgpt.com"}},
	{"OpenCode", []string{"opencode.ai"}},
	{"Perplexity", []string{"perplexity.ai", "www.perplexity.ai"}},
	{"Slack", []string{"slack.com"}},
	{"Visual Studio", []string{"vscode.dev", "code.visualstudio.com", "visualstudio.microsoft.com"}},
	{"VS Code", []string{"vscode.dev", "code.visualstudio.com"}},
	{"Windsurf", []string{"windsurf.com"}},
	{"Zapier", []string{"zapier.com"}},
	{"Zed", []string{"zed.dev"}},
}

var productsBySkeleton = func() map[string]int {
	m := map[string]int{}
	for i, known := range products {
		m[skeleton(known.name)] = i
	}
	return m
}()

const (
	namesEvery   = time.Minute // how often the clients are looked through for names
	namesAtATime = 2000        // clients looked at each time; it goes on from there the next time
	namesPage    = 200

	// A name that is part of a longer one must have so many letters to be seen in
	// it. Operators give clients plainer names than makers give products.
	productInside = 5
	clientInside  = 10
	maxNameWords  = 20
)

// imitated returns the name of a program that c's name can be taken for, though
// nothing says that c is that program; empty: none. document is the host of c's
// metadata document, if it has one.
func (p *Provider) imitated(ctx context.Context, c *Client, document string, to RedirectURI) string {
	answered := ""
	if to.provesClient() {
		answered = to.Host()
	}
	own := p.names.known(ctx, p)
	for _, words := range [][]string{nameWords(c.Name, true), nameWords(c.Name, false)} {
		words = words[:min(len(words), maxNameWords)]
		for i := range words {
			run := ""
			for j, word := range words[i:] {
				run += word
				whole := i == 0 && j == len(words)-1
				if i, ok := productsBySkeleton[run]; ok && (whole || len(run) >= productInside) &&
					!slices.Contains(products[i].hosts, document) && !slices.Contains(products[i].hosts, answered) {
					return products[i].name
				}
				if name, ok := own[run]; ok && (whole || len(run) >= clientInside) {
					return name
				}
			}
		}
	}
	return ""
}

// nameBook holds the names of the operator's own clients, by skeleton. It is
// filled a part at a time, so that a million clients that registered themselves
// cost no page more than a thousand do.
type nameBook struct {
	names atomic.Pointer[map[string]string] // replaced, never changed

	looking sync.Mutex // guards what follows; only one looks
	at      time.Time
	next    map[string]string // of the round that is under way
	cursor  string
}

// known returns what is known of the names, and looks for more if it is time.
func (b *nameBook) known(ctx context.Context, p *Provider) map[string]string {
	if b.looking.TryLock() {
		if now := time.Now(); now.Sub(b.at) >= namesEvery {
			b.at = now
			if err := b.look(ctx, p.cfg.Store); err != nil && !errors.Is(err, errors.ErrUnsupported) {
				p.emit(ctx, Event{Kind: EventOutage, Detail: "names of clients", Err: err})
			}
		}
		b.looking.Unlock()
	}
	if names := b.names.Load(); names != nil {
		return *names
	}
	return nil
}

func (b *nameBook) look(ctx context.Context, clients store.Clients) error {
	for range namesAtATime / namesPage {
		page, err := clients.ListClients(ctx, b.cursor, namesPage)
		if err != nil {
			return err
		}
		if b.next == nil {
			b.next = map[string]string{}
		}
		for _, c := range page {
			if s := skeleton(c.Name); c.Trust == store.TrustRegistered && s != "" {
				b.next[s] = plainName(c.Name)
			}
			b.cursor = c.ID
		}
		if len(page) < namesPage {
			names := b.next
			b.names.Store(&names)
			b.next, b.cursor = nil, ""
			return nil
		}
	}
	return nil
}

// skeleton is a name as the eye takes it: what looks alike has the same.
func skeleton(name string) string { return strings.Join(nameWords(name, false), "") }

// nameWords are the words of a name without case, marks and punctuation, and with
// one letter for all that look alike. signs: such as | and the digits at a word's
// end stand for letters too; else they end the word.
func nameWords(name string, signs bool) []string {
	var b strings.Builder
	small := false
	for _, r := range name {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
			continue
		case unicode.IsLetter(r) || unicode.In(r, unicode.So, unicode.Nl) || r >= '0' && r <= '9' || signs && strings.ContainsRune("|!$@", r):
		default:
			r = ' '
		}
		if small && unicode.IsUpper(r) { // ClaudeDesktop
			b.WriteByte(' ')
		}
		small = unicode.IsLower(r)
		b.WriteRune(r)
	}
	words := strings.Fields(b.String())
	for i, word := range words {
		if cut := strings.TrimRight(word, "0123456789"); !signs && cut != "" {
			word = cut
		}
		word = strings.Map(func(r rune) rune { return lookAlike(unicode.ToLower(lookAlike(r))) }, word)
		words[i] = strings.NewReplacer("vv", "w", "rn", "m").Replace(word)
	}
	return words
}

// lookAlike is the ASCII letter that a character can be taken for, or itself.
// It is a small part of Unicode's confusables (UTS 39): what Latin names are
// written with by those who mean to deceive.
func lookAlike(r rune) rune {
	switch {
	case r >= 0xFF01 && r <= 0xFF5E: // full width
		r -= 0xFF01 - '!'
	case r >= 0x1D400 && r <= 0x1D6A3: // mathematical letters, in alphabets of 26
		r = 'a' + (r-0x1D400)%26
	case r >= 0x24B6 && r <= 0x24E9: // in circles
		r = 'a' + (r-0x24B6)%26
	}
	if to, ok := lookAlikes[r]; ok {
		return to
	}
	return r
}

var lookAlikes = func() map[rune]rune {
	m := map[rune]rune{}
	for to, from := range map[rune]string{
		'a': "4@àáâãäåāăąǎαаɑᴀΑА", 'b': "8ßЬВΒʙ", 'c': "çćĉċčсϲᴄⅽСϹ", 'd': "ďđԁᴅⅾ", 'e': "3èéêëēĕėęěеёєεᴇΕЕ",
		'f': "ƒғ", 'g': "ĝğġģɡԍɢ", 'h': "ĥħһнʜΗН", 'j': "ĵјϳЈ", 'k': "ķкκᴋΚК", 'l': "1i|!ìíîïĩīĭįıіїιӏĺļľłʟⅰⅼΙІӀIǀ",
		'm': "мᴍⅿΜМ", 'n': "ñńņňηпɴΝ", 'o': "0òóôõöøōŏőοоσᴏΟО", 'p': "рρᴘΡР", 'q': "ԛ", 'r': "ŕŗřгʀ", 's': "5$śŝşšѕꜱЅ",
		't': "7ţťŧтτᴛΤТ", 'u': "ùúûüũūŭůűųυцᴜ", 'v': "νѵᴠ", 'w': "ŵѡԝωᴡ", 'x': "хχΧХ", 'y': "ýÿŷуүγʏΥУҮ", 'z': "źżžᴢΖ",
	} {
		for _, r := range from {
			m[r] = to
		}
	}
	return m
}()
