package rest

import (
	"bytes"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"
)

// boundDepth refuses a body that is nested deeper than the resource allows, before it is decoded: to decode and to encode some types takes as many
// looks at a part as it is deep, and a goroutine's stack has an end.
func (e *endpoint) boundDepth(body []byte, f format, name string) error {
	limit := e.res.MaxDepth
	if limit == 0 {
		return nil
	}
	problem := fmt.Sprintf("must not be nested more than %d levels deep", limit)
	switch f {
	case formatProtobuf:
		if len(body) < len(protobufMagic) || messageDepth(body[len(protobufMagic):], limit) <= limit {
			return nil
		}
		return apierrors.NewBadRequest("the object " + problem) // names of fields are not written there
	case formatYAML:
		converted, err := yaml.YAMLToJSON(body)
		if err != nil {
			return nil // who decodes it says so
		}
		body = converted
	}
	if !isDeeper(body, limit) {
		return nil
	}
	return apierrors.NewInvalid(e.gvk.GroupKind(), name, field.ErrorList{field.Invalid(pathOfDeepest(body, limit), field.OmitValueType{}, problem)})
}

// isDeeper tells whether JSON has more than limit brackets that are open at a time. What is no JSON may be told anything of.
func isDeeper(body []byte, limit int) bool {
	depth := 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '{', '[':
			if depth++; depth > limit {
				return true
			}
		case '}', ']':
			depth--
		case '"':
			for i++; i < len(body) && body[i] != '"'; i++ {
				if body[i] == '\\' {
					i++
				}
			}
		}
	}
	return false
}

// shownDepth is how much is told of the path to what is nested too deep.
const shownDepth = 8

// pathOfDeepest is the beginning of the path to what is nested deeper than limit.
func pathOfDeepest(body []byte, limit int) *field.Path {
	type level struct {
		array bool
		key   string
		index int
		value bool // the next token of an object is a value
	}
	var levels []level
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	for len(levels) <= limit {
		token, err := decoder.Token()
		if err != nil {
			break
		}
		var top *level
		if len(levels) > 0 {
			top = &levels[len(levels)-1]
		}
		switch token {
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
			continue
		}
		if top != nil && !top.array && !top.value {
			top.key, top.value = fmt.Sprint(token), true
			continue
		}
		if top != nil {
			top.value = false
			top.index++
		}
		if token == json.Delim('{') || token == json.Delim('[') {
			levels = append(levels, level{array: token == json.Delim('[')})
		}
	}
	var path *field.Path
	for _, l := range levels[:min(len(levels), shownDepth)] {
		switch {
		case l.array:
			path = path.Index(l.index - 1)
		case path == nil:
			path = field.NewPath(l.key)
		default:
			path = path.Child(l.key)
		}
	}
	return path
}

// messageDepth is how deep the messages in an encoded message are nested, or something above limit. Whether some bytes are a message or a string is
// not written there: they are looked at as a message as far as they look like one, and nothing else does for many levels. What is broken counts up to
// there, as who decodes it comes as far.
func messageDepth(message []byte, limit int) int {
	deepest := 0
	for len(message) > 0 {
		tag, n := looseVarint(message)
		if n == 0 {
			return deepest
		}
		message = message[n:]
		skip := uint64(0)
		switch tag & 7 {
		case 0:
			if _, n = looseVarint(message); n == 0 {
				return deepest
			}
			skip = uint64(n)
		case 1:
			skip = 8
		case 2:
			size, n := looseVarint(message)
			if n == 0 || size > uint64(len(message)-n) {
				return deepest
			}
			skip = uint64(n) + size
			if deepest <= limit && limit >= 0 {
				deepest = max(deepest, 1+messageDepth(message[n:skip], limit-1))
			}
		case 3, 4: // the fields of a group follow, and are looked at as if they were the message's own
		case 5:
			skip = 4
		default:
			return deepest
		}
		if skip > uint64(len(message)) {
			return deepest
		}
		message = message[skip:]
	}
	return deepest
}

// looseVarint reads a number as generated code does, which drops what is more than 64 bits; n is 0 for none.
func looseVarint(from []byte) (value uint64, n int) {
	const most = 10
	for n = 0; n < len(from) && n < most; n++ {
		value |= uint64(from[n]&0x7f) << (7 * n)
		if from[n] < 0x80 {
			return value, n + 1
		}
	}
	return 0, 0
}
