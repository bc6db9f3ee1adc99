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

// What members are put together from is what the object is, whoever goes behind them.
func FuzzMembers(f *testing.F) {
	for _, seed := range texts {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, object []byte) {
		all, names := []byte("{"), []byte("{")
		s := rawjson.Scanner{Text: bytes.TrimSpace(object)}
		taken := s.Members(func(key []byte) {
			all = append(append(append(all, '"'), key...), `":`...)
			all = append(append(all, s.Skip()...), ',')
		})
		s.At = 0
		passed := s.Members(func(key []byte) { names = append(append(append(names, '"'), key...), `":0,`...) })
		if !isA[map[string]any](object) {
			return // must not panic; nothing else is promised
		}
		if !taken || !passed || s.At != len(s.Text) {
			t.Fatalf("%s: walked %v and %v, up to %d", object, taken, passed, s.At)
		}
		same(t, object, end(all, '}'))
		if !isA[map[string]any](end(names, '}')) {
			t.Errorf("%s has members %s", object, names)
		}
	})
}

func FuzzElements(f *testing.F) {
	for _, seed := range texts {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, array []byte) {
		all, count := []byte("["), 0
		s := rawjson.Scanner{Text: bytes.TrimSpace(array)}
		taken := s.Elements(func() { all = append(append(all, s.Skip()...), ',') })
		s.At = 0
		passed := s.Elements(func() { count++ })
		if !isA[[]any](array) {
			return // must not panic; nothing else is promised
		}
		if !taken || !passed || s.At != len(s.Text) {
			t.Fatalf("%s: walked %v and %v, up to %d", array, taken, passed, s.At)
		}
		same(t, array, end(all, ']'))
		var read []json.RawMessage
		if err := json.Unmarshal(array, &read); err != nil || len(read) != count {
			t.Errorf("%s has %d elements, not %d (%v)", array, len(read), count, err)
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

func same(t *testing.T, want, got []byte) {
	t.Helper()
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
