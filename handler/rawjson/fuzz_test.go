package rawjson_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/portico-api/portico/handler/rawjson"
)

// texts are whole and broken JSON.
var texts = []string{
	`{"kind":"A","metadata":{"name":"x","labels":{"a":"}"}},"spec":[1,2]}`, `{}`, ` { "metadata" : null } `, `{"a":"\"","metadata":1}`, `{"metadata":`, `{"a"`, `"`,
	`{"a":[`, `{"metadata":"x\\"}`, `[]`, ` [ 1 , "," , [ "]" ] ] `, `[1`, `[1,]`, `[`, `{"a":1,`, `{"a":1,}`, ``,
}

func FuzzField(f *testing.F) {
	for _, seed := range texts {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, object []byte) {
		got := rawjson.Field(object, "metadata")
		var want map[string]json.RawMessage
		if json.Unmarshal(object, &want) != nil {
			return // must not panic; nothing else is promised
		}
		// The first of several counts here; what a registry stores has one.
		if bytes.Count(object, []byte("metadata")) == 1 && !bytes.Contains(object, []byte(`\u`)) && !bytes.Equal(got, bytes.TrimSpace(want["metadata"])) {
			t.Errorf("%s: got %q, want %q", object, got, want["metadata"])
		}
	})
}

// What members are put together from is what the object is.
func FuzzMembers(f *testing.F) {
	for _, seed := range texts {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, object []byte) {
		again, values := []byte("{"), []byte("{")
		err := rawjson.Members(object, func(m rawjson.Member) {
			if !bytes.HasPrefix(object[m.At:], m.Value) {
				t.Errorf("%s: %s is not at %d", object, m.Value, m.At)
			}
			again = append(append(again, m.Text...), ',')
			values = append(append(append(append(append(values, '"'), m.Key...), `":`...), m.Value...), ',')
		})
		if isA[map[string]any](object) {
			same(t, object, end(again, '}'), err)
			same(t, object, end(values, '}'), err)
		}
	})
}

func FuzzElements(f *testing.F) {
	for _, seed := range texts {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, array []byte) {
		again := []byte("[")
		err := rawjson.Elements(array, func(at int, value []byte) {
			if !bytes.HasPrefix(array[at:], value) {
				t.Errorf("%s: %s is not at %d", array, value, at)
			}
			again = append(append(again, value...), ',')
		})
		if isA[[]any](array) {
			same(t, array, end(again, ']'), err)
		}
	})
}

// isA tells whether text is JSON of a kind, and not null.
func isA[T any](text []byte) bool {
	var read T
	return json.Unmarshal(text, &read) == nil && string(bytes.TrimSpace(text)) != "null"
}

// end puts a bracket where the last comma is, or behind the opening bracket.
func end(text []byte, bracket byte) []byte {
	return append(bytes.TrimSuffix(text, []byte(",")), bracket)
}

func same(t *testing.T, want, got []byte, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", want, err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, want); err != nil {
		t.Fatal(err)
	}
	w := compact.String()
	compact.Reset()
	if err := json.Compact(&compact, got); err != nil || compact.String() != w {
		t.Errorf("%s became %s (%v)", want, got, err)
	}
}
