package oauth

import (
	"context"
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

// encode writes what a pending record has, without what its code has too, by
// hand, as access tokens are written.
func (c *codePayload) encode() []byte {
	b := append(make([]byte, 0, 512), `{"id":`...)
	b = appendJSONString(b, c.Token.ID)
	b = appendStringMember(b, "client_id", c.Token.ClientID)
	b = appendStringMember(b, "sub", c.Token.Subject)
	if len(c.Token.Scopes) > 0 {
		b = appendStringMember(b, "scope", strings.Join(c.Token.Scopes, " "))
	}
	if len(c.Token.Resources) > 0 {
		b = appendStringMember(b, "resource", strings.Join(c.Token.Resources, "\n")) // no URI has a line end
	}
	if len(c.Token.Data) > 0 {
		b = append(append(b, `,"grant":`...), c.Token.Data...)
	}
	b = appendIntMember(b, "created_at", c.Token.CreatedAt.UnixMicro())
	b = appendStringMember(b, "redirect_uri", c.RedirectURI)
	b = appendBoolMember(b, "redirect_set", c.RedirectSet)
	b = appendStringMember(b, "challenge", c.Challenge)
	b = appendBoolMember(b, "consented", c.Consented)
	return append(b, '}')
}

const grantDepth = 3 // of JSON: a list in the grant in the code

// decodeCode reads what encode has written into a code.
func decodeCode(code store.Code) (*codePayload, error) {
	c := &codePayload{Token: store.Token{
		State: store.TokenPending, Version: 1, // as created
		ExpiresAt: code.ExpiresAt, PurgeAt: code.PurgeAt,
	}}
	err := strictjson.Each(code.Data, grantDepth, func(name, value []byte) error {
		text, _ := strictjson.String(value)
		switch string(name) {
		case "id":
			c.Token.ID = text
		case "client_id":
			c.Token.ClientID = text
		case "sub":
			c.Token.Subject = text
		case "scope":
			c.Token.Scopes = strings.Fields(text)
		case "resource":
			c.Token.Resources = strings.Split(text, "\n")
		case "grant":
			c.Token.Data = value
		case "created_at":
			micros, err := strconv.ParseInt(string(value), 10, 64)
			c.Token.CreatedAt = time.UnixMicro(micros).UTC()
			return err
		case "redirect_uri":
			c.RedirectURI = text
		case "redirect_set":
			c.RedirectSet = string(value) == "true"
		case "challenge":
			c.Challenge = text
		case "consented":
			c.Consented = string(value) == "true"
		}
		return nil
	})
	if err == nil && (c.Token.ID == "" || c.Token.ClientID == "" || c.RedirectURI == "") {
		err = errors.New("it is not complete")
	}
	return c, err
}

// grantData is what an authorization remembers of its sign-in.
type grantData struct {
	AuthTime int64
	ACR      string
	AMR      []string
	SID      string
	Nonce    string
}

// encode writes it by hand, like codePayload; nil if there is nothing to say.
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
