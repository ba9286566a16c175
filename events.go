package oauth

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// EventKind says what happened. Extensions have kinds of their own.
type EventKind string

// What the core reports.
const (
	EventClientChanged    EventKind = "client_changed" // registered, updated, secret rotated, deleted
	EventClientAuthFailed EventKind = "client_auth_failed"
	EventRequestRefused   EventKind = "request_refused" // at authorize or token; Err says which rule
	EventConsentGranted   EventKind = "consent_granted"
	EventConsentDenied    EventKind = "consent_denied"
	EventConsentRevoked   EventKind = "consent_revoked"
	EventCodeIssued       EventKind = "code_issued"
	EventTokenIssued      EventKind = "token_issued" // an authorization began, or a client acts for itself
	EventTokenRefreshed   EventKind = "token_refreshed"
	EventTokenRevoked     EventKind = "token_revoked"
	EventReplayDetected   EventKind = "replay_detected" // a code or refresh token came back: the authorization was revoked
	EventOutage           EventKind = "outage"          // a store, key source or hook failed
)

// Event is a fact about what the provider did. It never holds a secret, code or
// token. Fields that do not apply are empty.
type Event struct {
	Kind     EventKind
	Time     time.Time
	ClientID string
	Subject  string
	TokenID  string // of the authorization's record; not a secret
	Scopes   []string
	Detail   string // what more there is to say, such as the grant type or "deleted"
	Count    int    // of the authorizations that a revocation ended
	Err      error  // why something was refused or failed
}

// LogValue makes an Event a group of slog attributes.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", string(e.Kind))}
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	text("client_id", e.ClientID)
	text("subject", e.Subject)
	text("token_id", e.TokenID)
	text("detail", e.Detail)
	if len(e.Scopes) > 0 {
		attrs = append(attrs, slog.Any("scopes", e.Scopes))
	}
	if e.Count > 0 {
		attrs = append(attrs, slog.Int("count", e.Count))
	}
	if e.Err != nil {
		text("error", e.Err.Error())
	}
	return slog.GroupValue(attrs...)
}

// emit tells the app, and logs what an operator should see without asking.
func (p *Provider) emit(ctx context.Context, e Event) {
	e.Time = now()
	if p.cfg.Observe != nil {
		switch e.Kind {
		case EventRequestRefused, EventClientAuthFailed:
			if known := new(Error); errors.As(e.Err, &known) {
				note(ctx, known.Code)
			}
		case EventConsentDenied:
			note(ctx, ErrAccessDenied)
		}
	}
	level := slog.LevelDebug
	switch e.Kind {
	case EventClientAuthFailed, EventRequestRefused:
		if e.ClientID != checkClient { // Check says itself what it finds
			level = slog.LevelInfo
		}
	case EventReplayDetected:
		level = slog.LevelWarn
	case EventOutage:
		level = slog.LevelError
	}
	if p.log.Enabled(ctx, level) {
		p.log.LogAttrs(ctx, level, "oauth", slog.Any("event", e))
	}
	if p.cfg.OnEvent != nil {
		p.cfg.OnEvent(ctx, e)
	}
}

// refused reports why a request was not served, and returns the error.
func (p *Provider) refused(ctx context.Context, e Event, err error) *Error {
	out := asError(err)
	if out.status() >= 500 {
		e.Kind = EventOutage
	} else if e.Kind == "" {
		e.Kind = EventRequestRefused
	}
	e.Err = out
	p.emit(ctx, e)
	if p.cfg.Observe != nil {
		note(ctx, out.Code) // an outage as well, here where it is the answer
	}
	return out
}

// now is the time that records carry: UTC, in the microseconds that every store
// keeps.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
