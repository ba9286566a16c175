package strictjson

import (
	"encoding/json"
	"reflect"
	"strings"
)

// field is a struct's field as encoding/json sees it.
type field struct {
	name string
	t    reflect.Type
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// plain follows pointers. It returns nil for a type that decodes itself: its
// own code decides about names.
func plain(t reflect.Type) reflect.Type {
	for t != nil {
		if t.Implements(unmarshaler) || reflect.PointerTo(t).Implements(unmarshaler) {
			return nil
		}
		if t.Kind() != reflect.Pointer {
			break
		}
		t = t.Elem()
	}
	return t
}

// fieldsOf lists the names that encoding/json looks for in an object for t.
func fieldsOf(t reflect.Type) []field {
	t = plain(t)
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	fields := make([]field, 0, t.NumField())
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		if tag == "-" || !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(tag, ",")
		if name == "" && f.Anonymous {
			continue // its fields follow on their own
		}
		if name == "" {
			name = f.Name
		}
		fields = append(fields, field{name, f.Type})
	}
	return fields
}

// elem is the type of the elements of t, nil if none is known.
func elem(t reflect.Type) reflect.Type {
	t = plain(t)
	if t == nil {
		return nil
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array, reflect.Map:
		return t.Elem()
	}
	return nil
}

// typeOf is the type of the member called name in an object for t.
func (o *object) typeOf(t reflect.Type, name []byte) reflect.Type {
	for _, f := range o.fields {
		if f.name == string(name) {
			return f.t
		}
	}
	return elem(t)
}
