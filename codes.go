package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

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
	Token       store.Token `json:"token"`
	RedirectURI string      `json:"redirect_uri"`
	RedirectSet bool        `json:"redirect_set"` // it was in the request, so it must be in the exchange
	Challenge   string      `json:"challenge,omitempty"`
	Consented   bool        `json:"consented"` // rests on a stored consent
}

// grantData is what an authorization remembers of its sign-in.
type grantData struct {
	AuthTime int64    `json:"auth_time,omitempty"`
	ACR      string   `json:"acr,omitempty"`
	AMR      []string `json:"amr,omitempty"`
	SID      string   `json:"sid,omitempty"`
	Nonce    string   `json:"nonce,omitempty"`
}

func encodeGrant(d grantData) ([]byte, error) {
	b, err := json.Marshal(d)
	if string(b) == "{}" {
		return nil, err
	}
	return b, err
}

func decodeGrant(data []byte) (d grantData, err error) {
	if len(data) > 0 {
		err = json.Unmarshal(data, &d)
	}
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

func (p *Provider) storeCode(ctx context.Context, code string, payload codePayload, expires time.Time) error {
	data, err := json.Marshal(payload)
	if err != nil {
		return outage("encode code", err)
	}
	err = p.cfg.Store.CreateCode(ctx, store.Code{
		Kind: codeKind, Key: hashKey(code), Data: data,
		ExpiresAt: expires, PurgeAt: expires.Add(codeMemory),
	})
	if err != nil {
		return outage("create code", err)
	}
	return nil
}

// loadCode returns what a code stands for, and when it expires.
func (p *Provider) loadCode(ctx context.Context, code string) (*codePayload, time.Time, error) {
	record, err := p.cfg.Store.Code(ctx, codeKind, hashKey(code))
	if errors.Is(err, store.ErrNotFound) {
		return nil, time.Time{}, errorf(ErrInvalidGrant, "the code is not valid").because("code is unknown")
	}
	if err != nil {
		return nil, time.Time{}, outage("code", err)
	}
	payload := new(codePayload)
	if err := json.Unmarshal(record.Data, payload); err != nil {
		return nil, time.Time{}, outage("code", fmt.Errorf("stored code cannot be read: %w", err))
	}
	payload.Token.Version = 1 // as created
	return payload, record.ExpiresAt, nil
}
