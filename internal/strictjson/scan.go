package strictjson

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner goes over a document once, from left to right.
type scanner struct {
	data     []byte
	pos      int
	depth    int
	maxDepth int

	// names holds the names of all objects that are open, one after the other.
	names [][]byte
	few   [fewNames + 4][]byte // where names begins, so that small documents need no more
}

// fewNames is how many names of an object are compared one by one; beyond it
// they go into a map, so that time stays linear.
const fewNames = 12

func (s *scanner) fail(what string) error {
	return fmt.Errorf("%w: %s at byte %d", ErrInvalid, what, s.pos)
}

// document checks the whole text. t is the type that the object is for, nil if
// none is known.
func (s *scanner) document(t reflect.Type, f func(name, value []byte) error) error {
	s.names = s.few[:0]
	if !utf8.Valid(s.data) {
		return fmt.Errorf("%w: invalid UTF-8", ErrInvalid)
	}
	s.space()
	if s.peek() != '{' {
		return s.fail("no object")
	}
	if err := s.object(t, f); err != nil {
		return err
	}
	s.space()
	if s.pos != len(s.data) {
		return s.fail("trailing data")
	}
	return nil
}

// peek returns the next byte, 0 at the end; 0 begins nothing in JSON.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) value(t reflect.Type) error {
	switch c := s.peek(); {
	case c == '{':
		return s.object(t, nil)
	case c == '[':
		return s.array(t)
	case c == '"':
		_, err := s.str()
		return err
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	default:
		return s.fail("no value")
	}
}

func (s *scanner) literal(word string) error {
	if !bytes.HasPrefix(s.data[s.pos:], []byte(word)) {
		return s.fail("no value")
	}
	s.pos += len(word)
	return nil
}

func (s *scanner) enter() error {
	s.depth++
	if s.depth > s.maxDepth {
		return s.fail("nested too deep")
	}
	s.pos++
	s.space()
	return nil
}

// next goes past a comma, or past the end of the object or array.
func (s *scanner) next(end byte) (more bool, err error) {
	s.space()
	switch s.peek() {
	case end:
		s.pos++
		s.depth--
		return false, nil
	case ',':
		s.pos++
		s.space()
		return true, nil
	default:
		return false, s.fail("no comma or end")
	}
}

func (s *scanner) array(t reflect.Type) error {
	if err := s.enter(); err != nil {
		return err
	}
	if s.peek() == ']' {
		_, err := s.next(']')
		return err
	}
	t = elem(t)
	for {
		if err := s.value(t); err != nil {
			return err
		}
		if more, err := s.next(']'); !more {
			return err
		}
	}
}

func (s *scanner) object(t reflect.Type, f func(name, value []byte) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	if s.peek() == '}' {
		_, err := s.next('}')
		return err
	}
	o := object{scanner: s, base: len(s.names), fields: fieldsOf(t)}
	for {
		name, err := o.name()
		if err != nil {
			return err
		}
		start := s.pos
		if err := s.value(o.typeOf(t, name)); err != nil {
			return err
		}
		if f != nil {
			if err := f(name, s.data[start:s.pos:s.pos]); err != nil {
				return err
			}
		}
		more, err := s.next('}')
		if !more {
			s.names = s.names[:o.base]
			return err
		}
	}
}

// object is an object that is being read.
type object struct {
	*scanner
	base   int                 // where its names begin in scanner.names
	seen   map[string]struct{} // its names, once they are many
	fields []field
}

// name reads a member's name and the colon, and refuses a name that the object
// has already or that a field has in another case.
func (o *object) name() ([]byte, error) {
	if o.peek() != '"' {
		return nil, o.fail("no member name")
	}
	name, err := o.str()
	if err != nil {
		return nil, err
	}
	if o.repeated(name) {
		return nil, o.fail("repeated member name")
	}
	for _, f := range o.fields {
		if f.name != string(name) && strings.EqualFold(f.name, string(name)) {
			return nil, o.fail("member name in the wrong case")
		}
	}
	o.space()
	if o.peek() != ':' {
		return nil, o.fail("no colon")
	}
	o.pos++
	o.space()
	return name, nil
}

func (o *object) repeated(name []byte) bool {
	if o.seen != nil {
		_, ok := o.seen[string(name)]
		o.seen[string(name)] = struct{}{}
		return ok
	}
	mine := o.names[o.base:]
	for _, n := range mine {
		if bytes.Equal(n, name) {
			return true
		}
	}
	o.names = append(o.names, name)
	if len(mine) < fewNames {
		return false
	}
	o.seen = make(map[string]struct{}, 4*fewNames)
	for _, n := range o.names[o.base:] {
		o.seen[string(n)] = struct{}{}
	}
	return false
}

// str reads a string. The result shares the document's memory unless the string
// has escapes.
func (s *scanner) str() ([]byte, error) {
	s.pos++
	start := s.pos
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			return s.data[start : s.pos-1], nil
		case c == '\\':
			return s.escaped(start)
		case c < 0x20:
			return nil, s.fail("control character in a string")
		}
		s.pos++
	}
	return nil, s.fail("string without end")
}

// escaped reads the rest of a string that begins at start and has its first
// escape at the current position.
func (s *scanner) escaped(start int) ([]byte, error) {
	text := append([]byte(nil), s.data[start:s.pos]...)
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			return text, nil
		case c == '\\':
			r, err := s.escape()
			if err != nil {
				return nil, err
			}
			text = utf8.AppendRune(text, r)
		case c < 0x20:
			return nil, s.fail("control character in a string")
		default:
			text = append(text, c)
			s.pos++
		}
	}
	return nil, s.fail("string without end")
}

// escape reads one escape sequence; a surrogate pair is one.
func (s *scanner) escape() (rune, error) {
	s.pos++
	c := s.peek()
	if c == 'u' {
		return s.unicode()
	}
	s.pos++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	default:
		return 0, s.fail("unknown escape")
	}
}

func (s *scanner) unicode() (rune, error) {
	r, err := s.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if s.peek() != '\\' {
		return 0, s.fail("half a surrogate pair")
	}
	s.pos++
	low, err := s.hex4()
	if err != nil {
		return 0, err
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, s.fail("half a surrogate pair")
	}
	return r, nil
}

// hex4 reads a u and four hexadecimal digits.
func (s *scanner) hex4() (rune, error) {
	if s.peek() != 'u' || len(s.data)-s.pos < 5 {
		return 0, s.fail("unknown escape")
	}
	var r rune
	for _, c := range s.data[s.pos+1 : s.pos+5] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, s.fail("unknown escape")
		}
		r = r<<4 | rune(c)
	}
	s.pos += 5
	return r, nil
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return s.fail("no number")
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return s.fail("no number")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return s.fail("no number")
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.pos
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.pos++
	}
	return s.pos > start
}
