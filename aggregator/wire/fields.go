package wire

import (
	"net/http"
	"strings"
)

// parseFields appends the fields of text, lines that each end with CRLF, the last of them empty.
func parseFields(fields []Field, text string) ([]Field, error) {
	for {
		line, rest, ok := strings.Cut(text, "\r\n")
		if !ok || line == "" {
			return fields, nil
		}
		text = rest
		if len(fields) == maxFields {
			return fields, errTooManyFields
		}
		name, value, found := strings.Cut(line, ":")
		// A name with a blank before the colon, and a line that begins with one, are read in
		// different ways by different readers.
		if !found || !isName(name) {
			return fields, malformed("a header line", []byte(line))
		}
		value = strings.Trim(value, " \t")
		if !isText(value) {
			return fields, malformed("the value of "+name, []byte(value))
		}
		fields = append(fields, Field{http.CanonicalHeaderKey(name), value})
	}
}

// isName tells whether s is a token (RFC 9110, 5.6.2).
func isName(s string) bool {
	if s == "" {
		return false
	}
	for i := 0; i < len(s); i++ {
		if b := s[i]; b >= 0x80 || !nameBytes[b] {
			return false
		}
	}
	return true
}

// nameBytes are the bytes of a token.
var nameBytes = func() (table [0x80]bool) {
	for _, b := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		table[b] = true
	}
	return table
}()

// isText tells whether s is free of control characters: a lone CR or LF would be the end of a line to
// some readers.
func isText(s string) bool {
	for i := 0; i < len(s); i++ {
		if b := s[i]; b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
	}
	return true
}

// AppendField appends a field to the head of a request. A name that is none is left out, and a control
// character in a value becomes a blank: neither can end the line.
func AppendField(head []byte, name, value string) []byte {
	if !isName(name) {
		return head
	}
	head = append(head, name...)
	head = append(head, ": "...)
	from := len(head)
	head = append(head, value...)
	for i := from; i < len(head); i++ {
		if b := head[i]; b < ' ' && b != '\t' || b == 0x7f {
			head[i] = ' '
		}
	}
	return append(head, "\r\n"...)
}
