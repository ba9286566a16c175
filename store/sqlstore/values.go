package sqlstore

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/seed-e797c9ce/oauth/store"
)

const day = 24 * time.Hour

// micros is a time as a parameter: microseconds since 1970 in UTC, or NULL for
// the zero time.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// purgeDay is the day, counted from 1970, by whose end t has come; NULL for the
// zero time. It is indexed in place of the microsecond: a refresh moves that
// every time, and would have to rewrite the index with it.
func purgeDay(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return dayOf(t)
}

func dayOf(t time.Time) int64 {
	const n = int64(day / time.Microsecond)
	us := t.UnixMicro()
	d := us / n
	if us%n > 0 {
		d++
	}
	return d
}

// timeOf reads what micros has written.
func timeOf(v sql.NullInt64) time.Time {
	if !v.Valid {
		return time.Time{}
	}
	return time.UnixMicro(v.Int64).UTC()
}

// checkTimes refuses what does not fit in microseconds.
func checkTimes(times ...time.Time) error {
	for _, t := range times {
		if y := t.Year(); y < -290000 || y > 290000 {
			return fmt.Errorf("%w: a time in the year %d", store.ErrInvalid, y)
		}
	}
	return nil
}

// textOf is a list as a parameter: a JSON array.
func textOf(list []string) (string, error) {
	if len(list) == 0 {
		return "[]", nil
	}
	b, err := encode(list)
	return string(b), err
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // for the eyes of who looks at the table
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrInvalid, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// stringsOf reads what textOf has written.
func stringsOf(list *[]string, b []byte) error {
	if string(b) == "[]" {
		return nil
	}
	return json.Unmarshal(b, list)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// hash is a digest as a parameter: its bytes, or NULL for the zero Hash.
func hash(h store.Hash) any {
	if h.IsZero() {
		return nil
	}
	return h[:]
}

// hashOf reads what hash has written.
func hashOf(h *store.Hash, b []byte) error {
	if len(b) != 0 && len(b) != len(h) {
		return fmt.Errorf("a digest of %d bytes", len(b))
	}
	copy(h[:], b)
	return nil
}

// blob is bytes as a parameter: NULL if there are none.
func blob(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}
