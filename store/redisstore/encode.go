package redisstore

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

// text writes a time as microseconds since 1970, the zero time as nothing.
func text(t time.Time) string {
	if t = t.UTC().Truncate(time.Microsecond); t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMicro(), 10)
}

// sortable writes a time as 16 hex digits in order of time, the zero time as
// nothing.
func sortable(t time.Time) string {
	if t = t.UTC().Truncate(time.Microsecond); t.IsZero() {
		return ""
	}
	return fmt.Sprintf("%016x", uint64(t.UnixMicro())^1<<63)
}

// expiry writes a PurgeAt as milliseconds since 1970 for Redis's own clock, or
// nothing if Redis must not drop the record.
func expiry(t time.Time) string {
	if t.IsZero() || t.UTC().Year() > 9999 {
		return ""
	}
	return strconv.FormatInt(t.UnixMilli(), 10)
}

// fields reads the fields of a hash. The first mistake is kept, and makes the
// record unreadable: an outage, not an answer.
type fields struct{ err error }

func (f *fields) text(v any) string {
	s, ok := v.(string)
	if !ok && f.err == nil {
		f.err = errRecord
	}
	return s
}

func (f *fields) bytes(v any) []byte {
	if s := f.text(v); s != "" {
		return []byte(s)
	}
	return nil
}

func (f *fields) number(v any) int64 {
	n, err := strconv.ParseInt(f.text(v), 10, 64)
	if err != nil && f.err == nil {
		f.err = errRecord
	}
	return n
}

func (f *fields) time(v any) time.Time {
	if s, ok := v.(string); ok && s == "" {
		return time.Time{}
	}
	return time.UnixMicro(f.number(v)).UTC()
}

func (f *fields) sortable(v any) time.Time {
	s := f.text(v)
	if s == "" {
		return time.Time{}
	}
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil && f.err == nil {
		f.err = errRecord
	}
	return time.UnixMicro(int64(n ^ 1<<63)).UTC()
}

func (f *fields) json(v, into any) {
	if err := json.Unmarshal([]byte(f.text(v)), into); err != nil && f.err == nil {
		f.err = errRecord
	}
}

// micros is a time in a JSON document.
type micros struct{ time.Time }

// MarshalJSON writes the time as text does.
func (m micros) MarshalJSON() ([]byte, error) { return json.Marshal(text(m.Time)) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *micros) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	f := fields{}
	m.Time = f.time(s)
	return f.err
}

// hashBytes is a digest as it is kept: none is no bytes.
func hashBytes(h store.Hash) []byte {
	if h.IsZero() {
		return nil
	}
	return h[:]
}

func (f *fields) hash(b []byte) (h store.Hash) {
	if len(b) != 0 && len(b) != len(h) && f.err == nil {
		f.err = errRecord
	}
	copy(h[:], b)
	return h
}
