package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Patches work on JSON as a tree of map[string]any, []any and plain values, numbers as they are written.

// maxPointerDepth is deeper than any object; moves could otherwise build one that no stack holds.
const maxPointerDepth = 256

var errNoContainer = errors.New("the path leads through a value that is no object and no list")

func child(container any, key string) (any, error) {
	switch c := container.(type) {
	case map[string]any:
		value, ok := c[key]
		if !ok {
			return nil, fmt.Errorf("there is no %q", key)
		}
		return value, nil
	case []any:
		i, err := listIndex(key, len(c))
		if err != nil {
			return nil, err
		}
		return c[i], nil
	}
	return nil, errNoContainer
}

// withChild sets what child has found.
func withChild(container any, key string, value any) any {
	switch c := container.(type) {
	case map[string]any:
		c[key] = value
	case []any:
		if i, err := listIndex(key, len(c)); err == nil {
			c[i] = value
		}
	}
	return container
}

// placeInList reads where a list of length n is added to; "-" is the place behind the last element.
func placeInList(key string, n int) (int, error) {
	if key == "-" {
		return n, nil
	}
	return listIndex(key, n+1)
}

// listIndex reads an index below end.
func listIndex(key string, end int) (int, error) {
	i, err := strconv.Atoi(key)
	switch {
	case err != nil, key[0] == '+', key[0] == '-', key[0] == '0' && len(key) > 1:
		return 0, fmt.Errorf("%q is no index of a list", key)
	case i >= end:
		return 0, fmt.Errorf("index %d is beyond the end of the list", i)
	}
	return i, err
}

var unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")

// parsePointer reads a JSON pointer (RFC 6901).
func parsePointer(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	if text[0] != '/' {
		return nil, fmt.Errorf("the path %q does not begin with a slash", text)
	}
	if strings.Count(text, "/") > maxPointerDepth {
		return nil, errors.New("the path is too deep")
	}
	keys := strings.Split(text[1:], "/")
	for i, key := range keys {
		keys[i] = unescapePointer.Replace(key)
	}
	return keys, nil
}

// decodeTree decodes JSON and keeps numbers as they are written.
func decodeTree(body []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("there is something behind the JSON value")
	}
	return tree, nil
}

// sameValue compares two trees; 1 and 1.0 are the same number.
func sameValue(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for key, value := range a {
			if other, ok := b[key]; !ok || !sameValue(value, other) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, sameValue)
	case json.Number:
		b, ok := b.(json.Number)
		if !ok {
			return false
		}
		x, errX := a.Float64()
		y, errY := b.Float64()
		return a == b || errX == nil && errY == nil && x == y
	}
	return a == b
}
