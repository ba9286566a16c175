package store

import (
	"encoding/binary"
	"time"
)

// The records of a Memory are kept as bytes, because a million structs full of
// pointers cost the garbage collector seconds and these cost it nothing.
//
//	header   version, ended, purge: 8 bytes each
//	fields   the strings that records are found by, each with its length in 2 bytes
//	body     the rest, in the order of the append function
//
// The header has a fixed place, so that it can be read and changed where it
// lies. Ended is ConsumedAt or RevokedAt. Times are microseconds since 1970.
// What follows the body is left over from an earlier record and means nothing.
const (
	atVersion = 0
	atEnded   = 8
	atPurge   = 16
	atFields  = 24
)

// noTime is the zero time in microseconds.
var noTime = time.Time{}.UnixMicro()

type record []byte

func (r record) version() int64 { return int64(binary.LittleEndian.Uint64(r[atVersion:])) }
func (r record) ended() int64   { return int64(binary.LittleEndian.Uint64(r[atEnded:])) }
func (r record) purge() int64   { return int64(binary.LittleEndian.Uint64(r[atPurge:])) }

func (r record) set(at int, v int64) { binary.LittleEndian.PutUint64(r[at:], uint64(v)) }

// field returns the nth of the strings that the record is found by. It is part
// of the record.
func (r record) field(n int) []byte {
	at := atFields
	for range n {
		at += 2 + int(binary.LittleEndian.Uint16(r[at:]))
	}
	end := at + 2 + int(binary.LittleEndian.Uint16(r[at:]))
	return r[at+2 : end]
}

// has reports whether the record's fields begin with those given.
func (r record) has(fields ...string) bool {
	for n, want := range fields {
		if string(r.field(n)) != want {
			return false
		}
	}
	return true
}

func newRecord(version int64, ended, purge time.Time, fields ...string) record {
	r := make(record, 0, 480)
	r = r.int(version).time(ended).time(purge)
	for _, s := range fields {
		r = binary.LittleEndian.AppendUint16(r, uint16(len(s)))
		r = append(r, s...)
	}
	return r
}

func (r record) int(v int64) record      { return binary.LittleEndian.AppendUint64(r, uint64(v)) }
func (r record) time(t time.Time) record { return r.int(t.UnixMicro()) }
func (r record) size(n int) record       { return binary.AppendUvarint(r, uint64(n)) }
func (r record) text(s string) record    { return append(r.size(len(s)), s...) }
func (r record) bytes(b []byte) record   { return append(r.size(len(b)), b...) }

func (r record) bool(v bool) record {
	if v {
		return append(r, 1)
	}
	return append(r, 0)
}

func (r record) texts(list []string) record {
	r = r.size(len(list))
	for _, s := range list {
		r = r.text(s)
	}
	return r
}

func (r record) hash(h Hash) record {
	if h.IsZero() {
		return append(r, 0)
	}
	return append(append(r, 1), h[:]...)
}

// A reader takes a copy of a record apart. A copy is a string, so that strings
// can be parts of it. Lists of them are parts of one array.
type reader struct {
	text  string
	at    int
	lists []string
}

func (r *reader) int() int64 {
	s := r.text[r.at : r.at+8]
	r.at += 8
	return int64(uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56)
}

func (r *reader) time() time.Time { return time.UnixMicro(r.int()).UTC() }

func (r *reader) size() (n int) {
	for shift := 0; ; shift += 7 {
		b := r.byte()
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
}

// field reads one of the strings that the record is found by.
func (r *reader) field() string {
	n := int(r.text[r.at]) | int(r.text[r.at+1])<<8
	r.at += 2 + n
	return r.text[r.at-n : r.at]
}

func (r *reader) string() string {
	n := r.size()
	r.at += n
	return r.text[r.at-n : r.at]
}

func (r *reader) strings() []string {
	n := r.size()
	if n == 0 {
		return nil
	}
	if cap(r.lists)-len(r.lists) < n {
		r.lists = make([]string, 0, max(n, 8))
	}
	begin := len(r.lists)
	for range n {
		r.lists = append(r.lists, r.string())
	}
	return r.lists[begin:len(r.lists):len(r.lists)]
}

func (r *reader) bytes() []byte {
	n := r.size()
	if n == 0 {
		return nil
	}
	r.at += n
	return []byte(r.text[r.at-n : r.at])
}

func (r *reader) byte() byte {
	r.at++
	return r.text[r.at-1]
}

func (r *reader) hash() (h Hash) {
	if r.byte() == 1 {
		r.at += copy(h[:], r.text[r.at:])
	}
	return h
}

func encodeToken(t Token) record {
	r := newRecord(t.Version, t.RevokedAt, t.PurgeAt, t.ID, t.Subject, t.ClientID)
	r = append(r, byte(t.State)).texts(t.Scopes).texts(t.Resources)
	r = r.hash(t.FamilyHash).hash(t.SecretHash).hash(t.PreviousHash).bytes(t.Successor).time(t.RotatedAt)
	r = r.time(t.CreatedAt).time(t.LastUsedAt).time(t.ExpiresAt)
	return r.text(t.Device).text(t.IP).bytes(t.Data)
}

func decodeToken(text string) (t Token) {
	r := reader{text: text}
	t.Version, t.RevokedAt, t.PurgeAt = r.int(), r.time(), r.time()
	t.ID, t.Subject, t.ClientID = r.field(), r.field(), r.field()
	t.State, t.Scopes, t.Resources = TokenState(r.byte()), r.strings(), r.strings()
	t.FamilyHash, t.SecretHash, t.PreviousHash, t.Successor, t.RotatedAt = r.hash(), r.hash(), r.hash(), r.bytes(), r.time()
	t.CreatedAt, t.LastUsedAt, t.ExpiresAt = r.time(), r.time(), r.time()
	t.Device, t.IP, t.Data = r.string(), r.string(), r.bytes()
	return t
}

func encodeCode(c Code) record {
	return newRecord(c.Version, c.ConsumedAt, c.PurgeAt, c.Kind, c.Key).time(c.ExpiresAt).bytes(c.Data)
}

func decodeCode(text string) (c Code) {
	r := reader{text: text}
	c.Version, c.ConsumedAt, c.PurgeAt = r.int(), r.time(), r.time()
	c.Kind, c.Key, c.ExpiresAt, c.Data = r.field(), r.field(), r.time(), r.bytes()
	return c
}

func encodeConsent(c Consent) record {
	r := newRecord(0, time.Time{}, time.Time{}, c.Subject, c.ClientID)
	return r.texts(c.Scopes).texts(c.Resources).hash(c.ClientHash).time(c.GrantedAt).time(c.UpdatedAt)
}

func decodeConsent(text string) (c Consent) {
	r := reader{text: text, at: atFields}
	c.Subject, c.ClientID, c.Scopes, c.Resources = r.field(), r.field(), r.strings(), r.strings()
	c.ClientHash, c.GrantedAt, c.UpdatedAt = r.hash(), r.time(), r.time()
	return c
}

func encodeClient(c Client) record {
	r := newRecord(c.Version, time.Time{}, c.PurgeAt, c.ID)
	r = r.text(c.Name).bool(c.Public).text(c.AuthMethod)
	r = r.size(len(c.Secrets))
	for _, s := range c.Secrets {
		r = r.text(s.Hash).time(s.ExpiresAt)
	}
	r = r.texts(c.RedirectURIs).texts(c.GrantTypes).texts(c.ResponseTypes).texts(c.Scopes).texts(c.DefaultScopes).texts(c.Resources)
	r = r.text(c.ApplicationType).text(string(c.Trust)).bool(c.FirstParty).bool(c.Disabled)
	r = r.text(c.URI).text(c.LogoURI).text(c.PolicyURI).text(c.TOSURI).texts(c.Contacts).bytes(c.JWKS).text(c.JWKSURI)
	r = r.int(int64(c.AccessTokenLifetime)).int(int64(c.RefreshTokenLifetime))
	return r.time(c.CreatedAt).time(c.UpdatedAt).bytes(c.Data)
}

func decodeClient(text string) (c Client) {
	r := reader{text: text}
	c.Version, _, c.PurgeAt = r.int(), r.time(), r.time()
	c.ID, c.Name, c.Public, c.AuthMethod = r.field(), r.string(), r.byte() == 1, r.string()
	if n := r.size(); n > 0 {
		c.Secrets = make([]Secret, n)
		for i := range c.Secrets {
			c.Secrets[i] = Secret{Hash: r.string(), ExpiresAt: r.time()}
		}
	}
	c.RedirectURIs, c.GrantTypes, c.ResponseTypes = r.strings(), r.strings(), r.strings()
	c.Scopes, c.DefaultScopes, c.Resources = r.strings(), r.strings(), r.strings()
	c.ApplicationType, c.Trust, c.FirstParty, c.Disabled = r.string(), Trust(r.string()), r.byte() == 1, r.byte() == 1
	c.URI, c.LogoURI, c.PolicyURI, c.TOSURI = r.string(), r.string(), r.string(), r.string()
	c.Contacts, c.JWKS, c.JWKSURI = r.strings(), r.bytes(), r.string()
	c.AccessTokenLifetime, c.RefreshTokenLifetime = time.Duration(r.int()), time.Duration(r.int())
	c.CreatedAt, c.UpdatedAt, c.Data = r.time(), r.time(), r.bytes()
	return c
}
