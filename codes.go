package oauth

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed-e797c9ce/oauth/internal/strictjson"
	"github.com/seed-e797c9ce/oauth/store"
)

const (
	codeKind = "code"
	// codeMemory is how long a code is remembered after it expired, so that a
	// late second use is still recognised as one.
	codeMemory = 10 * time.Minute
)

// codePayload is what an authorization code stands for. It holds the whole
// pending record: the exchange needs no look-up to know what it will activate.
type codePayload struct {
	Token       store.Token
	RedirectURI string
	RedirectSet bool // it was in the request, so it must be in the exchange
	Challenge   string
	Consented   bool // rests on a stored consent
}

// codeVersion is the first byte of what a code keeps: of how it is written.
const codeVersion = 1

// encode writes what a pending record has, without what its code has too: each
// text behind its length.
func (c *codePayload) encode() []byte {
	b := append(make([]byte, 0, 512), codeVersion)
	b = binary.AppendVarint(b, c.Token.CreatedAt.UnixMicro())
	for _, text := range []string{
		c.Token.ID, c.Token.ClientID, c.Token.Subject, strings.Join(c.Token.Scopes, " "),
		strings.Join(c.Token.Resources, "\n"), // no URI has a line end
		string(c.Token.Data), c.RedirectURI, c.Challenge,
		strconv.FormatBool(c.RedirectSet), strconv.FormatBool(c.Consented),
	} {
		b = appendText(b, text)
	}
	return b
}

// appendText writes a text behind its length.
func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// decodeCode reads what encode has written into a code.
func decodeCode(code store.Code) (*codePayload, error) {
	data, err := code.Data, errors.New("it is not of this version, or not complete")
	if len(data) == 0 || data[0] != codeVersion {
		return nil, err
	}
	created, n := binary.Varint(data[1:])
	if n <= 0 {
		return nil, err
	}
	rest := string(data[1+n:])
	var texts [10]string
	for i := range texts {
		size, n := binary.Uvarint([]byte(rest[:min(len(rest), binary.MaxVarintLen64)]))
		if n <= 0 || size > uint64(len(rest)-n) {
			return nil, err
		}
		texts[i], rest = rest[n:n+int(size)], rest[n+int(size):]
	}
	record := store.Token{
		ID: texts[0], ClientID: texts[1], Subject: texts[2], State: store.TokenPending, Version: 1, // as created
		CreatedAt: time.UnixMicro(created).UTC(), ExpiresAt: code.ExpiresAt, PurgeAt: code.PurgeAt,
	}
	if texts[3] != "" {
		record.Scopes = strings.Split(texts[3], " ")
	}
	if texts[4] != "" {
		record.Resources = strings.Split(texts[4], "\n")
	}
	if texts[5] != "" {
		record.Data = []byte(texts[5])
	}
	return &codePayload{
		Token: record, RedirectURI: texts[6], Challenge: texts[7],
		RedirectSet: texts[8] == "true", Consented: texts[9] == "true",
	}, nil
}

const grantDepth = 2 // of its JSON

// grantData is what an authorization remembers of its sign-in.
type grantData struct {
	AuthTime int64
	ACR      string
	AMR      []string
	SID      string
	Nonce    string
}

// encode writes it by hand, as access tokens are written; nil if there is nothing to say.
func (d *grantData) encode() []byte {
	b := make([]byte, 0, 128)
	if d.AuthTime != 0 {
		b = appendIntMember(b, "auth_time", d.AuthTime)
	}
	if d.ACR != "" {
		b = appendStringMember(b, "acr", d.ACR)
	}
	if len(d.AMR) > 0 {
		b = appendStrings(append(b, `,"amr":`...), d.AMR)
	}
	if d.SID != "" {
		b = appendStringMember(b, "sid", d.SID)
	}
	if d.Nonce != "" {
		b = appendStringMember(b, "nonce", d.Nonce)
	}
	if len(b) == 0 {
		return nil
	}
	b[0] = '{' // in the place of the first comma
	return append(b, '}')
}

func decodeGrant(data []byte) (d grantData, err error) {
	if len(data) == 0 {
		return d, nil
	}
	err = strictjson.Each(data, grantDepth, func(name, value []byte) (err error) {
		text, _ := strictjson.String(value)
		switch string(name) {
		case "auth_time":
			d.AuthTime, err = strconv.ParseInt(string(value), 10, 64)
		case "acr":
			d.ACR = text
		case "amr":
			err = json.Unmarshal(value, &d.AMR)
		case "sid":
			d.SID = text
		case "nonce":
			d.Nonce = text
		}
		return err
	})
	return d, err
}

func (d grantData) session(subject string) Session {
	s := Session{Subject: subject, ACR: d.ACR, AMR: d.AMR, ID: d.SID}
	if d.AuthTime != 0 {
		s.AuthTime = time.Unix(d.AuthTime, 0).UTC()
	}
	return s
}

func unixTime(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// storeCode stores a code that ends when its record does.
func (p *Provider) storeCode(ctx context.Context, code string, payload codePayload) error {
	err := p.cfg.Store.CreateCode(ctx, store.Code{
		Kind: codeKind, Key: hashKey(code), Data: payload.encode(),
		ExpiresAt: payload.Token.ExpiresAt, PurgeAt: payload.Token.PurgeAt,
	})
	if err != nil {
		return outage("create code", err)
	}
	return nil
}

// loadCode returns what a code stands for.
func (p *Provider) loadCode(ctx context.Context, code string) (*codePayload, error) {
	record, err := p.cfg.Store.Code(ctx, codeKind, hashKey(code))
	if errors.Is(err, store.ErrNotFound) {
		return nil, errorf(ErrInvalidGrant, "the code is not valid").because("code is unknown")
	}
	if err != nil {
		return nil, outage("code", err)
	}
	payload, err := decodeCode(record)
	if err != nil {
		return nil, outage("code", fmt.Errorf("stored code cannot be read: %w", err))
	}
	return payload, nil
}
