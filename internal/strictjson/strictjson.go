// Package strictjson decodes JSON that strangers send. encoding/json takes
// member names in any case and, of two members with one name, the last; what
// one party signed and another reads can then differ. Here each name stands
// once in its object, is spelled exactly, and the text is one value of bounded
// depth in valid UTF-8, as RFC 7493 (I-JSON) asks.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"unicode/utf8"
)

// MaxDepth is how deep [Unmarshal] lets objects and arrays be nested.
const MaxDepth = 32

// ErrInvalid is wrapped by every error of this package. No error quotes what
// was read.
var ErrInvalid = errors.New("not acceptable JSON")

// Each checks that data is one JSON object and calls f with each of its members
// in turn: the name, unescaped, and the text of the value, which shares data's
// memory. It is one pass over data; f has therefore seen the members before an
// error, and what it gathered must be dropped if Each returns one. An error of f
// ends the pass and is returned as it is.
//
// Objects and arrays are nested at most maxDepth deep; data itself is the first
// level.
func Each(data []byte, maxDepth int, f func(name, value []byte) error) error {
	s := scanner{data: data, maxDepth: maxDepth}
	return s.document(nil, f)
}

// Object returns the members of the object that data holds, as Each finds them.
// The values share data's memory.
func Object(data []byte, maxDepth int) (map[string]json.RawMessage, error) {
	members := make(map[string]json.RawMessage)
	err := Each(data, maxDepth, func(name, value []byte) error {
		members[string(name)] = value
		return nil
	})
	if err != nil {
		return nil, err
	}
	return members, nil
}

// Unmarshal stores the object that data holds in what v points to, a struct or
// a map, like encoding/json, and refuses what Each refuses, down to the last
// level, and names that differ from that of a struct's field only in case.
// Names that no field has are ignored; null leaves a field as it is.
func Unmarshal(data []byte, v any) error {
	t := reflect.TypeOf(v)
	if t == nil || t.Kind() != reflect.Pointer || (t.Elem().Kind() != reflect.Struct && t.Elem().Kind() != reflect.Map) {
		return fmt.Errorf("strictjson: cannot unmarshal into a %T: it takes a pointer to a struct or a map", v)
	}
	s := scanner{data: data, maxDepth: MaxDepth}
	if err := s.document(t.Elem(), nil); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		var wrongType *json.UnmarshalTypeError
		if errors.As(err, &wrongType) {
			return fmt.Errorf("%w: member %q has the wrong type", ErrInvalid, wrongType.Field)
		}
		return fmt.Errorf("%w: a member has a value of the wrong form", ErrInvalid)
	}
	return nil
}

// String returns the string that value, the text of a member as Each gives it,
// holds; ok is false if it is none.
func String(value []byte) (s string, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1]), true
	}
	return s, json.Unmarshal(value, &s) == nil
}

// AppendString appends s to dst as a JSON string. What is not valid UTF-8 in s
// becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < 0x20 || r == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
