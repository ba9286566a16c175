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
	"unicode/utf8"

	"github.com/seed-e797c9ce/oauth/store"
)

// products are programs that many users know by name, with the hosts that are
// theirs: a metadata document, or an answer, on one of these is their own. Names
// of makers stand beside those of programs. A host that forwards to any other is
// nobody's: what goes to www.google.com/amp/s/ ends where the path says.
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
	{"Google", []string{"gemini.google.com"}},
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
	namesTimeout = 10 * time.Second

	// A name that is part of a longer one must have so many letters to be seen in
	// it. Operators give clients plainer names than makers give products.
	productInside = 5
	clientInside  = 10
)

// productLike finds the product that a skeleton is of. A character that is no
// letter we know could be meant for any: nobody can list all that look alike.
func productLike(run string) (product int, ok bool) {
	if product, ok = productsBySkeleton[run]; ok {
		return product, true
	}
	runes := []rune(run)
	if len(runes) == len(run) {
		return 0, false
	}
	for name, product := range productsBySkeleton {
		if len(name) != len(runes) {
			continue
		}
		same, other := 0, 0
		for i, r := range runes {
			if r == rune(name[i]) {
				same++
			} else if r < utf8.RuneSelf {
				other++
			}
		}
		if other == 0 && 2*same >= len(name) {
			return product, true
		}
	}
	return 0, false
}

// imitated returns the name of a program that c's name can be taken for, though
// nothing says that c is that program; empty: none. document is the host of c's
// metadata document, if it has one.
func (p *Provider) imitated(ctx context.Context, c *Client, document string, to RedirectURI) string {
	answered := ""
	if to.provesClient() {
		answered = to.Host()
	}
	own := p.names.known(ctx, p)
	shown := plainName(c.Name)
	for _, read := range []reading{plain, signs, latin, signs | latin, signs | inner, signs | inner | latin} {
		words := nameWords(shown, read)
		for i := range words {
			run := ""
			for j, word := range words[i:] {
				run += word
				whole := i == 0 && j == len(words)-1
				if i, ok := productLike(run); ok && (whole || len(run) >= productInside) &&
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
			// For everybody: who leaves while it looks must not end it.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), namesTimeout)
			defer cancel()
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
func skeleton(name string) string { return strings.Join(nameWords(name, plain), "") }

// reading is how a name is read: there is more than one way to hide another in
// it, and they go together.
type reading int

const (
	signs reading = 1 << iota // digits, and signs such as |, stand for letters
	latin                     // what is not written for Latin letters stands between words
	inner                     // signs that stand for letters do so within a word, not before or after it

	plain reading = 0 // words of letters, of any script
)

var pairs = strings.NewReplacer("vv", "w", "rn", "m") // of letters that look like one

// nameWords are the words of a name without case, marks and punctuation, and with
// one letter for all that look alike.
func nameWords(name string, read reading) []string {
	var b strings.Builder
	small := false
	for _, r := range name {
		r = inASCII(r)
		switch to := lookAlike(unicode.ToLower(lookAlike(r))); {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
			continue
		case isSign(r):
			if read&signs == 0 {
				r = ' '
			}
		case to >= 'a' && to <= 'z': // letters, and letters in circles
		case unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r): // letters that nobody sees
			r = ' '
		case unicode.IsLetter(r) && read&latin == 0 || read&signs != 0 && isSymbol(r):
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
		if read&inner != 0 {
			word = strings.TrimFunc(word, func(r rune) bool { return isSign(r) || isSymbol(r) })
		}
		word = strings.Map(func(r rune) rune { return lookAlike(unicode.ToLower(lookAlike(r))) }, word)
		words[i] = pairs.Replace(word)
	}
	return words
}

// isSign reports whether r is a digit or sign that is written for a letter.
func isSign(r rune) bool { return r >= '0' && r <= '9' || strings.ContainsRune(`|!$@/\`, r) }

// isSymbol reports whether r could be meant for any letter.
func isSymbol(r rune) bool { return unicode.In(r, unicode.So, unicode.Sm) }

// inASCII is the ASCII character that is meant by one in full width, or by a
// mathematical digit: the same letter, digit or sign in another shape.
func inASCII(r rune) rune {
	switch {
	case r >= 0xFF01 && r <= 0xFF5E:
		return r - 0xFF01 + '!'
	case r >= 0x1D7CE && r <= 0x1D7FF: // alphabets of 10
		return '0' + (r-0x1D7CE)%10
	}
	return r
}

// lookAlike is the ASCII letter that a character can be taken for, or itself.
// It is a small part of Unicode's confusables (UTS 39): what Latin names are
// written with by those who mean to deceive.
func lookAlike(r rune) rune {
	switch {
	case r >= 0x1D400 && r <= 0x1D6A3 && unicode.IsLetter(r): // mathematical letters, in alphabets of 26, with gaps
		r = 'a' + (r-0x1D400)%26
	case r >= 0x24B6 && r <= 0x24E9: // in circles
		r = 'a' + (r-0x24B6)%26
	case r >= 0x1F130 && r <= 0x1F149 || r >= 0x1F150 && r <= 0x1F169 || r >= 0x1F170 && r <= 0x1F189: // in squares and dark ones
		r = 'a' + (r-0x1F130)%32
	case r >= 0x1F1E6 && r <= 0x1F1FF: // of flags
		r = 'a' + r - 0x1F1E6
	}
	if to, ok := lookAlikes[r]; ok {
		return to
	}
	return r
}

var lookAlikes = func() map[rune]rune {
	m := map[rune]rune{}
	for to, from := range map[rune]string{
		'a': "4@àáâãäåāăąǎαаɑᴀΑАᵃᴬꓮᎪ", 'b': "8ßЬВΒʙᵇᴮꓐᏼ", 'c': "çćĉċčсϲᴄⅽСϹᶜꓚᏟꮯⲥʗ", 'd': "ďđԁᴅⅾᵈᴰꓓᎠ", 'e': "3èéêëēĕėęěеёєεᴇΕЕᵉᴱꓰᎬ℮",
		'f': "ƒғᶠꓝ", 'g': "ĝğġģɡԍɢᵍᴳꓖᏀ", 'h': "ĥħһнʜΗНʰᴴꓧᎻ", 'j': "ĵјϳЈʲᴶꓙᎫ", 'k': "ķкκᴋΚКᵏᴷꓗᏦ", 'm': "мᴍⅿΜМᵐᴹꓟᎷ",
		'l': `1i|!/\ìíîïĩīĭįıіїιӏĺļľłʟɪⅰⅼΙІӀIǀⁱᴵˡᴸꓡᏞꓲᎥ`, 'n': "ñńņňηпɴΝⁿᴺꓠ", 'o': "0òóôõöøōŏőοоσᴏΟОᵒᴼꓳօ", 'p': "рρᴘΡРᵖᴾꓑᏢ", 'q': "ԛ",
		'r': "ŕŗřгʀʳᴿꓣᎡ", 's': "5$śŝşšѕꜱЅˢꓢᏚ", 't': "7ţťŧтτᴛΤТᵗᵀꓔᎢ", 'u': "ùúûüũūŭůűųυцᴜᵘᵁꓴս", 'v': "νѵᴠᵛⱽꓦᏙ", 'w': "ŵѡԝωᴡʷᵂꓪᎳ",
		'x': "хχΧХˣꓫ", 'y': "ýÿŷуүγʏΥУҮʸꓬᎩ", 'z': "źżžᴢΖᶻꓜᏃ",
	} {
		for _, r := range from {
			m[r] = to
		}
	}
	return m
}()
