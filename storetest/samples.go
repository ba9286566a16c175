package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// now is when the cases take place. No case reads a clock.
var now = time.Date(2031, 5, 6, 7, 8, 9, 123_456_000, time.UTC)

// later is when something happens to a record that was stored before.
var later = now.Add(time.Hour)

// nasty are texts that have broken stores: other forms of one name, other
// systems' syntax, what a comparison could fold, what a join could confuse.
// All are valid UTF-8 without NUL, and no two are the same bytes.
var nasty = []string{
	"a", "A", "a ", " a", "a\t", "a\n", "a\r\n", "á", "a\u0301", "Á", "ａ", "ⓐ", // fold, trim, normalise
	"ß", "ss", "ẞ", "ı", "i", "İ", "I", "k", "K", "ſ", "s", // fold in some locale
	"😀", "😀\U0001F3FF", "\U0010FFFD", "\uFFFD", "\uE000", "\u200B", "a\u200B", "\u202Ea", // beyond the 16-bit plane; invisible
	":", "a:b", "a::b", "{a}", "{a}:b", "{}", "*", "?", "[a-z]", "a*", "^a", "$", // Redis keys and patterns
	"'", "''", `"`, "`", ";", "--", "/*", "%", "_", "a%", `\`, `\\`, `\0`, `\x00`, `'; DROP TABLE tokens; --`, "$1", "?1", ":a", "@a", // SQL
	"0", "00", "0.0", "1e0", "1", "01", "-0", "null", "NULL", "nil", "true", "{}a", "[]", "<>", // values of other types
	"https://app.example/client.json", "https://app.example/client.json?a=b&c=d#e", "urn:x:y", "../a", "a/b", "a%2Fb", "a+b", "a,b", "a|b", "a.b", "a=b", "a&b",
	"\x01", "\x1f", "\x7f", "\u0080", "\u0085", "\u2028", "\ufeff", "\ufeffa", // controls
}

// broken are texts that no record may hold.
var broken = []string{"\x00", "a\x00", "a\x00b", "\xff", "a\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80"}

// binary is what Data can be: every byte, and what is no UTF-8.
var binary = func() []byte {
	var b []byte
	for i := range 256 {
		b = append(b, byte(i))
	}
	return append(b, 0, 0, 0xff, 0xfe, '\'', '"', '\\', 0)
}()

// times are instants that have broken stores.
var times = []time.Time{
	{}, // none
	time.Unix(0, 0).UTC(),
	time.Unix(0, 1000).UTC(),
	time.Unix(-1, 999_999_000).UTC(),
	time.Date(1971, 1, 1, 0, 0, 0, 0, time.UTC),
	time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC),                                   // beyond 32 bits of seconds
	time.Date(2031, 3, 30, 2, 30, 0, 1000, time.UTC),                                // does not exist in Berlin
	time.Date(2031, 10, 26, 1, 30, 0, 999_999_000, time.FixedZone("", 2*3600)),      // exists there twice
	time.Date(2031, 10, 26, 1, 30, 0, 999_999_000, time.FixedZone("", -12*3600+90)), // an offset with seconds
	time.Date(2032, 2, 29, 23, 59, 59, 999_999_000, time.FixedZone("LOCAL", 14*3600)),
	time.Date(2262, 4, 11, 23, 47, 16, 854_776_000, time.UTC), // beyond 64 bits of nanoseconds
	time.Date(9998, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
}

func hash(fill byte) (h store.Hash) {
	for i := range h {
		h[i] = fill ^ byte(i)
	}
	return h
}

// fullClient returns a client with every field set, differing by n.
func fullClient(id string, n int) store.Client {
	at := now.Add(time.Duration(n) * time.Microsecond)
	tag := func(s string) string { return fmt.Sprintf("%s-%d", s, n) }
	return store.Client{
		ID: id, Name: tag("😀 O'Neil\\ & \"Søn\""), Public: n%2 == 0,
		Secrets:    []store.Secret{{Hash: tag("$2a$12$ab")}, {Hash: tag("$2a$12$cd"), ExpiresAt: at.Add(1 * time.Hour)}},
		AuthMethod: tag("client_secret_basic"), RedirectURIs: []string{tag("https://app.example/cb?a=b"), "http://[::1]/", "com.example:/x"},
		GrantTypes: []string{"authorization_code", tag("refresh_token")}, ResponseTypes: []string{tag("code")},
		Scopes: append([]string{tag("read"), ""}, nasty...), DefaultScopes: []string{tag("read")}, Resources: []string{tag("https://api.example/")},
		ApplicationType: tag("native"), Trust: store.Trust(tag("registered")), FirstParty: n%2 == 0, Disabled: n%2 == 0,
		URI: tag("https://app.example"), LogoURI: tag("https://app.example/logo"), PolicyURI: tag("https://app.example/policy"), TOSURI: tag("https://app.example/tos"),
		Contacts: []string{tag("ops@app.example")}, JWKS: append([]byte(tag("{}")), binary...), JWKSURI: tag("https://app.example/jwks"),
		AccessTokenLifetime: time.Hour + time.Duration(n), RefreshTokenLifetime: 1<<62 + time.Duration(n),
		CreatedAt: at.Add(2 * time.Hour), UpdatedAt: at.Add(3 * time.Hour), PurgeAt: at.Add(4 * time.Hour),
		Data: append([]byte{byte(n)}, binary...),
	}
}

// fullCode returns a code with every field set, but not consumed.
func fullCode(kind, key string, n int) store.Code {
	at := now.Add(time.Duration(n) * time.Microsecond)
	return store.Code{Kind: kind, Key: key, Data: append([]byte{byte(n)}, binary...), ExpiresAt: at.Add(1 * time.Hour), PurgeAt: at.Add(2 * time.Hour)}
}

// fullToken returns a token with every field set, but not revoked.
func fullToken(id string, n int) store.Token {
	at := now.Add(time.Duration(n) * time.Microsecond)
	tag := func(s string) string { return fmt.Sprintf("%s-%d", s, n) }
	return store.Token{
		ID: id, ClientID: "https://app.example/client.json", Subject: "subject-😀", State: store.TokenState(n % 2),
		Scopes: append([]string{tag("read"), ""}, nasty...), Resources: []string{tag("https://api.example/"), "urn:x"},
		FamilyHash: hash(byte(n)), SecretHash: hash(byte(n + 1)), PreviousHash: hash(byte(n + 2)),
		Successor: append([]byte{byte(n), 0}, binary...), RotatedAt: at.Add(1 * time.Hour),
		CreatedAt: at.Add(2 * time.Hour), LastUsedAt: at.Add(3 * time.Hour), ExpiresAt: at.Add(4 * time.Hour), PurgeAt: at.Add(5 * time.Hour),
		Device: tag("Ada's 📱"), IP: tag("2001:db8::1"), Data: append([]byte{byte(n), 1}, binary...),
	}
}

// fullConsent returns a consent with every field set; its lists are in order.
func fullConsent(subject, clientID string, n int) store.Consent {
	at := now.Add(time.Duration(n) * time.Microsecond)
	return store.Consent{
		Subject: subject, ClientID: clientID, Scopes: sorted(append([]string{fmt.Sprintf("read-%d", n), ""}, nasty...)...),
		Resources: []string{fmt.Sprintf("https://api.example/%d", n), "urn:x"}, ClientHash: hash(byte(n)), GrantedAt: at.Add(1 * time.Hour), UpdatedAt: at.Add(2 * time.Hour),
	}
}

// token returns a small active token of a subject and a client.
func token(id, subject, clientID string) store.Token {
	return store.Token{ID: id, Subject: subject, ClientID: clientID, State: store.TokenActive, Scopes: []string{"read"}, CreatedAt: now, ExpiresAt: later}
}

// versioned returns the record as it is once it was stored.
func clientAt(c store.Client, version int64) store.Client { c.Version = version; return c }
func codeAt(c store.Code, version int64) store.Code       { c.Version = version; return c }
func tokenAt(t store.Token, version int64) store.Token    { t.Version = version; return t }

func clientID(c store.Client) string       { return c.ID }
func tokenID(t store.Token) string         { return t.ID }
func consentClient(c store.Consent) string { return c.ClientID }

// long returns valid UTF-8 of exactly n bytes that ends in a letter of its own.
func long(n int, last string) string { return strings.Repeat("x", n-len(last)) + last }
