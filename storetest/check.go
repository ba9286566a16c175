package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"
)

// failures collects what a case saw go wrong, so that one run shows all of it.
type failures struct{ errs []error }

func (f *failures) err() error { return errors.Join(f.errs...) }

// addf notes a failure.
func (f *failures) addf(format string, args ...any) {
	const most = 10 // the first few tell the story; a race has thousands
	if len(f.errs) < most {
		f.errs = append(f.errs, fmt.Errorf(format, args...))
	}
}

// ok notes err, if there is one, and reports whether there was none.
func (f *failures) ok(what string, err error) bool {
	if err != nil {
		f.addf("%s: %w", what, err)
	}
	return err == nil
}

// is notes it if err is not want.
func (f *failures) is(what string, err, want error) bool {
	if errors.Is(err, want) {
		return true
	}
	if err == nil {
		f.addf("%s: no error, want %q", what, want)
	} else {
		f.addf("%s: error %q, want %q", what, err, want)
	}
	return false
}

// same notes it if a record, a list or a number is not what it should be.
func same[R any](f *failures, what string, got, want R) bool {
	if diff := difference("it", reflect.ValueOf(got), reflect.ValueOf(want)); diff != "" {
		f.addf("%s: %s", what, diff)
		return false
	}
	return true
}

// returned is same and ok at once: for the results of a look-up.
func returned[R any](f *failures, what string, want R) func(R, error) bool {
	return func(got R, err error) bool {
		return f.ok(what, err) && same(f, what, got, want)
	}
}

// result is is for calls that return something beside the error.
func result[R any](f *failures, what string, want error) func(R, error) bool {
	return func(_ R, err error) bool { return f.is(what, err, want) }
}

var (
	timeType  = reflect.TypeFor[time.Time]()
	bytesType = reflect.TypeFor[[]byte]()
)

// difference says where two values differ, or returns "". Empty and nil slices
// are the same; times must be the same instant, and got's must be in UTC.
func difference(path string, got, want reflect.Value) string {
	if got.Type() != want.Type() {
		return fmt.Sprintf("%s is a %v, want a %v", path, got.Type(), want.Type())
	}
	switch {
	case got.Type() == timeType:
		return timeDifference(path, got.Interface().(time.Time), want.Interface().(time.Time))
	case got.Type() == bytesType:
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			return fmt.Sprintf("%s is %s, want %s", path, short(got), short(want))
		}
		return ""
	case got.Kind() == reflect.Struct:
		for i := range got.NumField() {
			if diff := difference(path+"."+got.Type().Field(i).Name, got.Field(i), want.Field(i)); diff != "" {
				return diff
			}
		}
		return ""
	case got.Kind() == reflect.Slice:
		if got.Len() != want.Len() {
			return fmt.Sprintf("%s has %d elements, want %d: %s, want %s", path, got.Len(), want.Len(), short(got), short(want))
		}
		for i := range got.Len() {
			if diff := difference(fmt.Sprintf("%s[%d]", path, i), got.Index(i), want.Index(i)); diff != "" {
				return diff
			}
		}
		return ""
	case !got.Equal(want):
		return fmt.Sprintf("%s is %s, want %s", path, short(got), short(want))
	}
	return ""
}

func timeDifference(path string, got, want time.Time) string {
	switch {
	case !got.Equal(want):
		return fmt.Sprintf("%s is %s, want %s", path, got.Format(time.RFC3339Nano), want.Format(time.RFC3339Nano))
	case got.IsZero() != want.IsZero():
		return fmt.Sprintf("%s.IsZero() is %t, want %t", path, got.IsZero(), want.IsZero())
	case got.Location() != time.UTC:
		return fmt.Sprintf("%s is in %s, want UTC", path, got.Location())
	}
	return ""
}

// short prints a value, cut where it would fill the screen.
func short(v reflect.Value) string {
	s := fmt.Sprintf("%+v", v)
	if v.Kind() == reflect.String || v.Type() == bytesType {
		s = fmt.Sprintf("%q", v)
	}
	const limit = 200
	if len(s) > limit {
		return fmt.Sprintf("%.*s… (%d bytes)", limit, s, len(s))
	}
	return s
}

// keys returns the keys of a list.
func keys[R any](list []R, key func(R) string) []string {
	ids := make([]string, 0, len(list))
	for _, r := range list {
		ids = append(ids, key(r))
	}
	return ids
}

// sorted returns the strings in ascending byte order, each once.
func sorted(list ...string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}
