package audit

import (
	"strconv"
	"time"
	"unicode/utf8"

	"k8s.io/apiserver/pkg/authentication/user"
)

// Events are put together by hand: there are two of them for every request, and encoding/json allocates for each of their fields.

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. What is no UTF-8 becomes U+FFFD, as with encoding/json.
func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b >= ' ' && b != '"' && b != '\\' && b < utf8.RuneSelf {
			i++
			continue
		}
		if b < utf8.RuneSelf {
			dst = append(dst, s[start:i]...)
			switch b {
			case '"', '\\':
				dst = append(dst, '\\', b)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&0xf])
			}
			i++
			start = i
			continue
		}
		// The conversion of at most four bytes does not allocate.
		r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		if r == utf8.RuneError && size == 1 || r == '\u2028' || r == '\u2029' {
			dst = append(dst, s[start:i]...)
			switch r {
			case '\u2028', '\u2029': // line ends for some readers, and an event is one line
				dst = append(dst, `\u202`...)
				dst = append(dst, hexDigits[r&0xf])
			default:
				dst = append(dst, `\ufffd`...)
			}
			i += size
			start = i
			continue
		}
		i += size
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// appendField appends a field that is not the first one.
func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, ',')
	dst = appendString(dst, name)
	dst = append(dst, ':')
	return appendString(dst, value)
}

func appendStrings(dst []byte, values []string) []byte {
	dst = append(dst, '[')
	for i, value := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, value)
	}
	return append(dst, ']')
}

func appendInt(dst []byte, n int) []byte { return strconv.AppendInt(dst, int64(n), 10) }

// microTime is how times are written in an event.
const microTime = `"2006-01-02T15:04:05.000000Z07:00"`

func appendTime(dst []byte, t time.Time) []byte { return t.UTC().AppendFormat(dst, microTime) }

// appendUser appends a UserInfo; an empty one when nobody is known.
func appendUser(dst []byte, u user.Info) []byte {
	if u == nil {
		return append(dst, "{}"...)
	}
	dst = append(dst, `{"username":`...)
	dst = appendString(dst, u.GetName())
	if uid := u.GetUID(); uid != "" {
		dst = appendField(dst, "uid", uid)
	}
	if groups := u.GetGroups(); len(groups) > 0 {
		dst = append(dst, `,"groups":`...)
		dst = appendStrings(dst, groups)
	}
	if extra := u.GetExtra(); len(extra) > 0 {
		dst = append(dst, `,"extra":{`...)
		first := true
		for key, values := range extra {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = appendString(dst, key)
			dst = append(dst, ':')
			dst = appendStrings(dst, values)
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}
