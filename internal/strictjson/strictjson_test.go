package strictjson_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/internal/strictjson"
)

func TestObjectAccepts(t *testing.T) {
	for _, text := range []string{
		`{}`,
		` { } `,
		"\t\r\n{\"a\":1}\n",
		`{"a":"b","A":"c"}`, // two names; no struct is there to confuse them
		`{"":null}`,
		`{"a":[],"b":{},"c":[{"a":1},{"a":1}]}`,
		`{"a":{"a":{"a":[true,false,null]}}}`,
		`{"n":[0,-0,1.5,1e300,-1E+9,1e-9,123456789012345678901234567890]}`,
		`{"s":"\"\\\/\b\f\n\r\té😀` + "\u2028\u00e9" + `"}`,
		`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":10,"k":11,"l":12,"m":13,"n":14,"o":15}`,
	} {
		t.Run(text, func(t *testing.T) {
			got, err := strictjson.Object([]byte(text), 5)
			require.NoError(t, err)
			var want map[string]json.RawMessage
			require.NoError(t, json.Unmarshal([]byte(text), &want))
			assert.Equal(t, want, got)
		})
	}
}

// refused holds what no function of the package accepts.
var refused = map[string]string{
	"empty":                         ``,
	"space":                         ` `,
	"byte order mark":               "\ufeff{}",
	"array":                         `[]`,
	"null":                          `null`,
	"string":                        `"{}"`,
	"number":                        `1`,
	"no end":                        `{`,
	"no end after a member":         `{"a":1`,
	"no end after a comma":          `{"a":1,`,
	"trailing comma":                `{"a":1,}`,
	"trailing comma in array":       `{"a":[1,]}`,
	"leading comma":                 `{,"a":1}`,
	"no comma":                      `{"a":1 "b":2}`,
	"two commas":                    `{"a":1,,"b":2}`,
	"no colon":                      `{"a" 1}`,
	"no value":                      `{"a":}`,
	"name without quotes":           `{a:1}`,
	"single quotes":                 `{'a':1}`,
	"comment":                       `{"a":1/*x*/}`,
	"wrong bracket":                 `{"a":[1}}`,
	"trailing brace":                `{}}`,
	"trailing text":                 `{} x`,
	"second document":               `{"a":1}{"a":2}`,
	"trailing NUL":                  "{}\x00",
	"NUL as space":                  "{\x00}",
	"vertical tab as space":         "{\v}",
	"no-break space":                "{\u00a0}",
	"NaN":                           `{"a":NaN}`,
	"Infinity":                      `{"a":-Infinity}`,
	"half a literal":                `{"a":tru}`,
	"long literal":                  `{"a":trueish}`,
	"capital literal":               `{"a":True}`,
	"leading zero":                  `{"a":01}`,
	"leading plus":                  `{"a":+1}`,
	"lone minus":                    `{"a":-}`,
	"no digit before the point":     `{"a":.5}`,
	"no digit after the point":      `{"a":1.}`,
	"no digit in exponent":          `{"a":1e}`,
	"no digit in signed exponent":   `{"a":1e+}`,
	"hexadecimal":                   `{"a":0x10}`,
	"string without end":            `{"a":"b`,
	"string ends in a backslash":    `{"a":"\`,
	"newline in a string":           "{\"a\":\"\n\"}",
	"NUL in a string":               "{\"a\":\"\x00\"}",
	"control after an escape":       "{\"a\":\"\\n\x01\"}",
	"no end after an escape":        `{"a":"\n`,
	"unknown escape":                `{"a":"\x41"}`,
	"short unicode escape":          `{"a":"\u12"}`,
	"unicode escape not hex":        `{"a":"\u12g4"}`,
	"half a surrogate pair":         `{"a":"\ud83d"}`,
	"half a pair, then an escape":   `{"a":"\ud83d\n"}`,
	"half a pair, then text":        `{"a":"\ud83dx"}`,
	"half a pair, then the end":     `{"a":"\ud83d\u`,
	"two high halves":               `{"a":"\ud83d\ud83d"}`,
	"low half alone":                `{"a":"\ude00"}`,
	"half a pair in a name":         `{"\ud83d":1}`,
	"invalid UTF-8":                 "{\"a\":\"\xff\"}",
	"invalid UTF-8 in a name":       "{\"\xc0\x80\":1}",
	"surrogate in UTF-8":            "{\"a\":\"\xed\xa0\x80\"}",
	"repeated name":                 `{"a":1,"b":2,"a":3}`,
	"repeated empty name":           `{"":1,"":2}`,
	"repeated name, escaped":        `{"a":1,"\u0061":2}`,
	"repeated name, both escaped":   `{"\u0061":1,"\u0061":2}`,
	"repeated name, deep":           `{"a":{"b":[{"c":1,"c":1}]}}`,
	"repeated name after an object": `{"a":{"b":1},"c":1,"a":2}`,
	"repeated name among many":      `{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":10,"k":11,"l":12,"m":13,"n":14,"b":15}`,
	"repeated name, last of many":   `{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":10,"k":11,"l":12,"m":13,"n":14,"n":15}`,
	"too deep in arrays":            `{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`,
	"too deep in objects":           strings.Repeat(`{"a":`, 33) + `1` + strings.Repeat("}", 33),
}

func TestEverythingElseIsRefused(t *testing.T) {
	for name, text := range refused {
		t.Run(name, func(t *testing.T) {
			members, err := strictjson.Object([]byte(text), strictjson.MaxDepth)
			assert.ErrorIs(t, err, strictjson.ErrInvalid)
			assert.Nil(t, members)

			into := map[string]any{}
			assert.ErrorIs(t, strictjson.Unmarshal([]byte(text), &into), strictjson.ErrInvalid)
			assert.Empty(t, into, "nothing is stored")
		})
	}
}

func TestDepthIsCountedFromOne(t *testing.T) {
	for depth, text := range map[int]string{1: `{"a":1}`, 2: `{"a":[1],"b":[{}][0]}`, 3: `{"a":[1],"b":{"c":[]},"d":{"e":{}}}`} {
		text = strings.ReplaceAll(text, "[{}][0]", "{}")
		_, err := strictjson.Object([]byte(text), depth)
		assert.NoError(t, err, "%s at %d", text, depth)
		_, err = strictjson.Object([]byte(text), depth-1)
		assert.ErrorIs(t, err, strictjson.ErrInvalid, "%s at %d", text, depth-1)
	}
}

func TestEachStopsAtTheCallersError(t *testing.T) {
	stop := errors.New("stop")
	var names []string
	err := strictjson.Each([]byte(`{"a":1,"b":2,"c":3}`), 2, func(name, value []byte) error {
		names = append(names, string(name)+string(value))
		if string(name) == "b" {
			return stop
		}
		return nil
	})
	assert.Equal(t, stop, err)
	assert.Equal(t, []string{"a1", "b2"}, names)
}

func TestValuesCannotBeAppendedInto(t *testing.T) {
	data := []byte(`{"a":1,"b":2}`)
	members, err := strictjson.Object(data, 1)
	require.NoError(t, err)
	_ = append(members["a"], "XXXX"...)
	assert.Equal(t, `{"a":1,"b":2}`, string(data))
}

type inner struct {
	Value string `json:"value"`
}

type embedded struct {
	Inside string `json:"inside"`
}

// itself decodes itself, and wants a member that no field has.
type itself struct{ value string }

func (i *itself) UnmarshalJSON(data []byte) error {
	var m map[string]string
	err := json.Unmarshal(data, &m)
	i.value = m["VALUE"]
	return err
}

type outer struct {
	embedded
	Aud     string `json:"aud"`
	Plain   string
	List    []inner          `json:"list"`
	Pointer *inner           `json:"pointer"`
	Map     map[string]inner `json:"map"`
	Any     any              `json:"any"`
	Raw     json.RawMessage  `json:"raw"`
	Itself  itself           `json:"itself"`
	Skipped string           `json:"-"`
	hidden  string
}

func TestUnmarshal(t *testing.T) {
	var got outer
	err := strictjson.Unmarshal([]byte(`{
		"aud":"a","Plain":"p","inside":"i","unknown":{"deep":[1]},
		"list":[{"value":"1"},{"value":"2","x":1}],"pointer":{"value":"3"},"map":{"k":{"value":"4"},"VALUE":{"value":"5"}},
		"any":{"value":1,"VALUE":2},"raw":{"value":1,"VALUE":2},"itself":{"VALUE":"v"},
		"Skipped":"no","hidden":"no","HIDDEN":"no"}`), &got)
	require.NoError(t, err)
	assert.Equal(t, outer{
		embedded: embedded{"i"}, Aud: "a", Plain: "p",
		List: []inner{{"1"}, {"2"}}, Pointer: &inner{"3"}, Map: map[string]inner{"k": {"4"}, "VALUE": {"5"}},
		Any: map[string]any{"value": 1.0, "VALUE": 2.0}, Raw: json.RawMessage(`{"value":1,"VALUE":2}`), Itself: itself{"v"},
	}, got)
	assert.Empty(t, got.hidden)
}

func TestUnmarshalRefusesNamesInAnotherCase(t *testing.T) {
	for _, text := range []string{
		`{"aud":"good","AUD":"evil"}`,
		`{"AUD":"evil"}`,
		`{"Aud":"evil"}`,
		`{"\u0041ud":"evil"}`,
		`{"plain":"p"}`,
		`{"Inside":"evil"}`,
		`{"LIST":[]}`,
		"{\"li\u017ft\":[]}", // long s folds to s in encoding/json
		`{"list":[{"value":"1"},{"Value":"2"}]}`,
		`{"pointer":{"VALUE":"3"}}`,
		`{"map":{"k":{"VALUE":"4"}}}`,
	} {
		t.Run(text, func(t *testing.T) {
			assert.ErrorIs(t, strictjson.Unmarshal([]byte(text), &outer{}), strictjson.ErrInvalid)
		})
	}
}

func TestUnmarshalReportsWrongTypesWithoutTheirValues(t *testing.T) {
	err := strictjson.Unmarshal([]byte(`{"list":[{"value":424242}]}`), &outer{})
	assert.ErrorIs(t, err, strictjson.ErrInvalid)
	assert.Contains(t, err.Error(), "list.value")
	assert.NotContains(t, err.Error(), "424242")

	err = strictjson.Unmarshal([]byte(`{"itself":{"VALUE":424242}}`), &outer{})
	assert.ErrorIs(t, err, strictjson.ErrInvalid)
	assert.NotContains(t, err.Error(), "424242")
}

func TestUnmarshalTakesPointersToStructsAndMaps(t *testing.T) {
	var s string
	var nothing *outer
	for _, v := range []any{nil, outer{}, map[string]any{}, &s, &[]int{}, "x"} {
		err := strictjson.Unmarshal([]byte(`{}`), v)
		assert.ErrorContains(t, err, "cannot unmarshal", "%T", v)
	}
	assert.Error(t, strictjson.Unmarshal([]byte(`{}`), nothing))
}

func TestHostileInputIsRefusedFast(t *testing.T) {
	many := make([]string, 100_000)
	for i := range many {
		many[i] = fmt.Sprintf(`"%d":1`, i)
	}
	tests := map[string]struct {
		text   string
		valid  bool
		allocs float64
	}{
		"10,000 arrays":  {text: `{"a":` + strings.Repeat("[", 10_000), allocs: 20},
		"10,000 objects": {text: strings.Repeat(`{"a":`, 10_000), allocs: 20},
		"many names":     {text: `{` + strings.Join(many, ",") + `}`, valid: true, allocs: 150_000},
		"many names, one repeated": {
			text: `{` + strings.Join(many, ",") + `,"0":1}`, allocs: 150_000},
		"long string of escapes": {text: `{"a":"` + strings.Repeat(`\u0041`, 100_000) + `"}`, valid: true, allocs: 60},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			data := []byte(tt.text)
			check := func() error { return strictjson.Each(data, 32, func(_, _ []byte) error { return nil }) }
			took := time.Hour
			for range 3 { // other processes can only make it longer
				start := time.Now()
				err := check()
				took = min(took, time.Since(start))
				assert.Equal(t, tt.valid, err == nil)
			}
			assert.Less(t, took, time.Second)
			assert.LessOrEqual(t, testing.AllocsPerRun(1, func() { _ = check() }), tt.allocs)
		})
	}
}

func TestString(t *testing.T) {
	for value, want := range map[string]string{`"a"`: "a", `""`: "", `"\u0061\n"`: "a\n", `"é"`: "é"} {
		got, ok := strictjson.String([]byte(value))
		assert.True(t, ok, value)
		assert.Equal(t, want, got)
	}
	for _, value := range []string{``, `"`, `1`, `null`, `{}`, `["a"]`} {
		_, ok := strictjson.String([]byte(value))
		assert.False(t, ok, value)
	}
}

func TestAppendStringRoundTrips(t *testing.T) {
	for _, s := range []string{"", "plain", `quote " and \ and /`, "\x00\x1f\x7f\r\n\t", "é 😀 \u2028 <&>", "\ufffd"} {
		var got string
		require.NoError(t, json.Unmarshal(strictjson.AppendString(nil, s), &got))
		assert.Equal(t, s, got)
	}
	assert.Equal(t, "x\"a\ufffdb\"", string(strictjson.AppendString([]byte("x"), "a\xffb")))
}

// FuzzUnmarshal holds the promise that matters: whatever is accepted here means
// the same to encoding/json and has only one reading.
func FuzzUnmarshal(f *testing.F) {
	for _, text := range refused {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"aud":"a","list":[{"value":"1"}],"map":{"k":{"value":"x"}},"any":{"a":[1,2.5e3,null,"\ud83d\ude00"]}}`))
	f.Add([]byte(`{"AUD":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		members, err := strictjson.Object(data, strictjson.MaxDepth)
		if err != nil {
			require.ErrorIs(t, err, strictjson.ErrInvalid)
			return
		}
		require.True(t, json.Valid(data), "encoding/json calls it invalid")
		require.True(t, utf8.Valid(data))
		var want map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(data, &want))
		require.Equal(t, want, members)

		var strict, loose outer
		if strictjson.Unmarshal(data, &strict) == nil {
			require.NoError(t, json.Unmarshal(data, &loose))
			require.Equal(t, loose, strict)
		}
	})
}

func FuzzAppendString(f *testing.F) {
	f.Add("a\"\\\x00\xff")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		require.NoError(t, json.Unmarshal(strictjson.AppendString(nil, s), &got))
		require.Equal(t, string([]rune(s)), got)
	})
}

func BenchmarkEach(b *testing.B) {
	data := []byte(`{"iss":"https://issuer.example","sub":"user-1","aud":"https://api.example/","exp":1700000000,"iat":1700000000,"nbf":1700000000,"jti":"abcdefghijklmnopqrstuvwxyz","client_id":"client-1","scope":"read write"}`)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if err := strictjson.Each(data, 8, func(_, _ []byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
