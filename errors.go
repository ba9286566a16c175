package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/seed-e797c9ce/oauth/store"
)

// ErrorCode is the error value of an OAuth response, exactly as it goes on the
// wire. A code is itself an error, so that errors.Is(err, oauth.ErrInvalidGrant)
// asks whether err is, or wraps, an [Error] of that code.
type ErrorCode string

// Error returns the code as it goes on the wire.
func (c ErrorCode) Error() string { return string(c) }

// The codes of RFC 6749 (§4.1.2.1, §5.2), RFC 6750 (§3.1), RFC 7009 (§2.2.1),
// RFC 8707 (§2) and OpenID Connect Core (§3.1.2.6) that the core answers with.
// Extensions bring their own.
const (
	ErrInvalidRequest          ErrorCode = "invalid_request"
	ErrInvalidClient           ErrorCode = "invalid_client"
	ErrInvalidGrant            ErrorCode = "invalid_grant"
	ErrUnauthorizedClient      ErrorCode = "unauthorized_client"
	ErrUnsupportedGrantType    ErrorCode = "unsupported_grant_type"
	ErrUnsupportedResponseType ErrorCode = "unsupported_response_type"
	ErrInvalidScope            ErrorCode = "invalid_scope"
	ErrInvalidTarget           ErrorCode = "invalid_target"
	ErrInvalidRedirectURI      ErrorCode = "invalid_redirect_uri"
	ErrInvalidClientMetadata   ErrorCode = "invalid_client_metadata"
	ErrAccessDenied            ErrorCode = "access_denied"
	ErrLoginRequired           ErrorCode = "login_required"
	ErrConsentRequired         ErrorCode = "consent_required"
	ErrServerError             ErrorCode = "server_error"
	ErrTemporarilyUnavailable  ErrorCode = "temporarily_unavailable"
)

// Error is the one error type of the protocol. Every error that a method of
// this package returns because of its input, or because the store failed, is or
// wraps an *Error.
type Error struct {
	Code        ErrorCode
	Description string // safe to show to anyone; never holds input, a secret, a code or a token
	URI         string // a page about the error, if there is one (RFC 6749 §5.2)
	Status      int    // the HTTP status; zero: the one of the code
	Err         error  // the cause, for logs; never goes on the wire
}

// Error returns code, description and cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("oauth: ")
	b.WriteString(string(e.Code))
	if e.Description != "" {
		b.WriteString(": ")
		b.WriteString(e.Description)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the code and the cause, so that errors.Is finds both.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.Err}
}

// status is the HTTP status of the answer (RFC 6749 §5.2: 400 unless told
// otherwise; 401 for a client that could not be authenticated).
func (e *Error) status() int {
	switch {
	case e.Status != 0:
		return e.Status
	case e.Code == ErrInvalidClient:
		return http.StatusUnauthorized
	case e.Code == ErrServerError, e.Code == ErrTemporarilyUnavailable:
		return http.StatusServiceUnavailable
	case e.Code == ErrAccessDenied:
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}

// errorf makes an Error with a description that is safe to show.
func errorf(code ErrorCode, format string, args ...any) *Error {
	return &Error{Code: code, Description: fmt.Sprintf(format, args...)}
}

// because adds a cause for the log.
func (e *Error) because(format string, args ...any) *Error {
	e.Err = fmt.Errorf(format, args...)
	return e
}

// outage turns the failure of a store, a hook or a signer into an Error. It is
// never called for an answer of the store: a failure is not "no such record".
func outage(what string, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	out := &Error{
		Code:        ErrTemporarilyUnavailable,
		Description: "the server cannot answer right now; try again",
		Status:      http.StatusServiceUnavailable,
		Err:         fmt.Errorf("%s: %w", what, err),
	}
	if errors.Is(err, store.ErrInvalid) {
		out.Code = ErrServerError
		out.Description = "the server could not keep the request"
		out.Status = http.StatusInternalServerError
	}
	return out
}

// asError makes any error an *Error. What is not one already is a bug or an
// outage in something that the app plugged in.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var code ErrorCode
	if errors.As(err, &code) {
		return &Error{Code: code, Err: err}
	}
	return outage("unexpected", err)
}
