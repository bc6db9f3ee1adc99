package storage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/portico-api/portico/handler/rawjson"
)

const jsonSpace = " \t\r\n"

// outline is what one pass over an object's JSON finds out: enough to put a resourceVersion into its
// metadata and to read its labels, without decoding the rest.
type outline struct {
	body   span // the object without space around it
	meta   span // the value of metadata; empty when there is none
	null   bool // metadata is there, but null
	empty  bool // metadata has no member
	rv     span // the member resourceVersion of metadata with the comma that goes with it; empty when there is none
	labels span // the value of metadata.labels; empty when there is none
}

// span is a part of the bytes, from and up to an offset.
type span struct{ from, to int }

func (s span) len() int { return s.to - s.from }

// survey makes the outline of an object. It trusts that what it skips is JSON: the bytes come from
// the registry's own encoder, and checking them again on each read of the etcd would cost more than all the rest.
func survey(b []byte) (outline, error) {
	var o outline
	s := rawjson.Scanner{Text: b}
	s.Space()
	o.body.from = s.At
	if !s.Take('{') {
		return o, malformed("no object")
	}
	for more := s.First(); more; more = s.Next() {
		key, ok := s.Key()
		if !ok {
			return o, malformed("bad member name")
		}
		value := span{from: s.At}
		if !s.Value() {
			return o, malformed("bad value")
		}
		value.to = s.At
		if is(key, "metadata") {
			// The last of several counts, as it does for every JSON decoder.
			o.meta = value
		}
	}
	if !s.Done {
		return o, malformed("object does not end")
	}
	o.body.to = s.At
	s.Space()
	if s.At != len(b) {
		return o, malformed("bytes after the object")
	}
	if o.meta.len() == 0 {
		return o, nil
	}
	return o, o.surveyMetadata(b)
}

func (o *outline) surveyMetadata(b []byte) error {
	if string(b[o.meta.from:o.meta.to]) == "null" {
		o.null = true
		return nil
	}
	s := rawjson.Scanner{Text: b[:o.meta.to], At: o.meta.from}
	if !s.Take('{') {
		return malformed("metadata is no object")
	}
	o.empty = true
	comma := -1 // before the member at hand
	for more := s.First(); more; more = s.Next() {
		o.empty = false
		member := span{from: s.At}
		key, ok := s.Key()
		if !ok {
			return malformed("bad member name in metadata")
		}
		value := span{from: s.At}
		if !s.Value() {
			return malformed("bad value in metadata")
		}
		value.to, member.to = s.At, s.At
		s.Space()
		last := s.At < len(s.Text) && s.Text[s.At] == '}'
		switch {
		case is(key, "resourceVersion"):
			if o.rv.len() != 0 {
				return malformed("two resourceVersions in metadata")
			}
			o.rv = member
			if !last {
				o.rv.to = s.At + 1
			} else if comma >= 0 {
				o.rv.from = comma
			}
		case is(key, "labels"):
			o.labels = value
		}
		comma = s.At
	}
	if !s.Done {
		return malformed("metadata does not end")
	}
	return nil
}

// splice appends the object with the resourceVersion as the first member of its metadata to dst, and
// tells where in the result its labels are.
func splice(dst, b []byte, o outline, revision int64) ([]byte, span) {
	start := len(dst)
	switch {
	case o.meta.len() == 0: // no metadata: it becomes the first member
		dst = append(dst, `{"metadata":{`...)
		dst = appendVersion(dst, revision)
		dst = append(dst, '}')
		rest := b[o.body.from+1 : o.body.to]
		if trimmed := bytes.TrimLeft(rest, jsonSpace); trimmed[0] != '}' {
			dst = append(dst, ',')
		}
		return append(dst, rest...), span{}
	case o.null:
		dst = append(dst, b[o.body.from:o.meta.from]...)
		dst = append(dst, '{')
		dst = appendVersion(dst, revision)
		dst = append(dst, '}')
		return append(dst, b[o.meta.to:o.body.to]...), span{}
	}
	dst = append(dst, b[o.body.from:o.meta.from+1]...)
	dst = appendVersion(dst, revision)
	if !o.empty {
		dst = append(dst, ',')
	}
	inserted := len(dst) - start - (o.meta.from + 1 - o.body.from)
	dst = append(dst, b[o.meta.from+1:o.body.to]...)
	shift := start - o.body.from + inserted
	return dst, span{o.labels.from + shift, o.labels.to + shift}
}

// without returns a copy of b with a part cut out.
func without(b []byte, s span) []byte {
	return append(append(make([]byte, 0, len(b)-s.len()), b[:s.from]...), b[s.to:]...)
}

// pair is one label or one selectable field.
type pair struct{ key, value string }

// pairs reads an object whose values are strings. text makes a string of bytes without an escape.
func pairs(b []byte, text func([]byte) string) ([]pair, error) {
	if string(b) == "null" || len(b) == 0 {
		return nil, nil
	}
	s := rawjson.Scanner{Text: b}
	if !s.Take('{') {
		return nil, malformed("labels are no object")
	}
	var found []pair
	for more := s.First(); more; more = s.Next() {
		key, ok := s.Key()
		if !ok {
			return nil, malformed("bad label")
		}
		from := s.At
		if !s.String() {
			return nil, malformed("a label's value is no string")
		}
		p := pair{unquote(key, text), unquote(b[from+1:s.At-1], text)}
		if i := indexOf(found, p.key); i >= 0 {
			found[i] = p
			continue
		}
		if found == nil {
			found = make([]pair, 0, 1+bytes.Count(b, []byte{','}))
		}
		found = append(found, p)
	}
	return found, nil
}

func indexOf(ps []pair, key string) int {
	for i := range ps {
		if ps[i].key == key {
			return i
		}
	}
	return -1
}

// is compares a member's name with a plain one.
func is(key []byte, name string) bool {
	if bytes.IndexByte(key, '\\') < 0 {
		return string(key) == name
	}
	return unquote(key, func(b []byte) string { return string(b) }) == name
}

// unquote is the text of a JSON string given without its quotes.
func unquote(b []byte, text func([]byte) string) string {
	if len(b) == 0 {
		return ""
	}
	if bytes.IndexByte(b, '\\') < 0 {
		return text(b)
	}
	var s string
	if err := json.Unmarshal([]byte(`"`+string(b)+`"`), &s); err != nil {
		return string(b)
	}
	return s
}

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// maxVersion is room for what splice adds at most.
const maxVersion = len(`"metadata":{},"resourceVersion":"",`) + 20

func appendVersion(dst []byte, revision int64) []byte {
	dst = append(dst, `"resourceVersion":"`...)
	dst = strconv.AppendInt(dst, revision, 10)
	return append(dst, '"')
}
