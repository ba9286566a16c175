package oauth

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestIntrospectionIsWrittenAsItsTagsSay(t *testing.T) {
	full := Introspection{Active: true, Confirm: json.RawMessage(`{"jkt":"x"}`)}
	fields := reflect.ValueOf(&full).Elem()
	for i := range fields.NumField() {
		switch f := fields.Field(i); f.Kind() {
		case reflect.String:
			f.SetString("a \"ü\n" + fields.Type().Field(i).Name)
		case reflect.Int64:
			f.SetInt(int64(1 + i))
		case reflect.Slice:
			f.Set(reflect.ValueOf([]string{"a", "b"}))
		}
		assert.False(t, fields.Field(i).IsZero(), "%s: this test has a value for it", fields.Type().Field(i).Name)
	}
	for name, i := range map[string]Introspection{"inactive": {}, "active": {Active: true, Subject: "s"}, "all": full} {
		t.Run(name, func(t *testing.T) {
			want, err := json.Marshal(i)
			require.NoError(t, err)
			got, err := i.appendJSON(nil)
			require.NoError(t, err)
			assert.Equal(t, string(want), string(got))
		})
	}
	_, err := (&Introspection{Confirm: func() {}}).appendJSON(nil)
	assert.Error(t, err)
}
