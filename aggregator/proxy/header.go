package proxy

import (
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/aggregator/wire"
)

// Headers by which a backend learns who asks. It believes them because of the client certificate
// they come with, so nothing a client sent under such a name may ever pass.
const (
	headerUser        = "X-Remote-User"
	headerUID         = "X-Remote-Uid"
	headerGroup       = "X-Remote-Group"
	headerExtraPrefix = "X-Remote-Extra-"
)

// canBeTold tells whether the backend would read what we know of who. HTTP takes the blanks around a
// value away: the group " system:masters", which means nothing here, would be another one there.
func canBeTold(who user.Info) bool {
	if !isVerbatim(who.GetName()) || !isVerbatim(who.GetUID()) {
		return false
	}
	for _, group := range who.GetGroups() {
		if !isVerbatim(group) {
			return false
		}
	}
	for _, values := range who.GetExtra() {
		for _, value := range values {
			if !isVerbatim(value) {
				return false
			}
		}
	}
	return true
}

// isVerbatim tells whether value arrives as it is when it is sent in a header.
func isVerbatim(value string) bool {
	return value == "" || value[0] > ' ' && value[len(value)-1] > ' ' && httpguts.ValidHeaderFieldValue(value)
}

// passesOn tells whether a client's header may reach the backend. Names with an underscore do not:
// servers that map names to variables read X_Remote_User as X-Remote-User (contract, 13).
func passesOn(name string) bool {
	if name == "" || strings.IndexByte(name, '_') >= 0 {
		return false
	}
	switch name[0] | 0x20 {
	case 'a':
		return !strings.EqualFold(name, "Authorization")
	case 'i':
		return !hasPrefixFold(name, "Impersonate-")
	case 'x':
		return !hasPrefixFold(name, "X-Remote-")
	}
	return !isHopByHop(name)
}

// isHopByHop tells whether a header speaks about one connection and not about the message.
func isHopByHop(name string) bool {
	switch name[0] | 0x20 {
	case 'c':
		return strings.EqualFold(name, "Connection")
	case 'k':
		return strings.EqualFold(name, "Keep-Alive")
	case 'p':
		return hasPrefixFold(name, "Proxy-")
	case 't':
		return strings.EqualFold(name, "Te") || strings.EqualFold(name, "Trailer") || strings.EqualFold(name, "Transfer-Encoding")
	case 'u':
		return strings.EqualFold(name, "Upgrade")
	}
	return false
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

const upperHex = "0123456789ABCDEF"

// extraHeader is the header of one extra key, in canonical form. Bytes that a header name cannot
// hold, and the percent sign itself, are percent-escaped; readers lower-case the name before they
// unescape it, so the canonical form loses nothing that upstream would keep.
func extraHeader(key string) string {
	var short [96]byte
	name := append(short[:0], headerExtraPrefix...)
	for i := 0; i < len(key); i++ {
		if b := key[i]; isToken(b) && b != '%' {
			name = append(name, b)
		} else {
			name = append(name, '%', upperHex[b>>4], upperHex[b&15])
		}
	}
	canonicalize(name)
	return string(name)
}

// canonicalize is http.CanonicalHeaderKey in place, for names that have been checked.
func canonicalize(name []byte) {
	first := true
	for i, b := range name {
		if first && 'a' <= b && b <= 'z' || !first && 'A' <= b && b <= 'Z' {
			name[i] = b ^ 0x20
		}
		first = b == '-'
	}
}

// isToken tells whether b may stand in a header name (RFC 9110, 5.6.2).
func isToken(b byte) bool {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}

// copyAnswerHeader adds the backend's header to ours. What the backend says replaces what our
// filters have set, except for warnings, which are for the client's eyes whoever gives them.
// CORS is decided at the front door, and connections are not the backend's to speak about.
func copyAnswerHeader(to http.Header, from []wire.Field) {
	var named []string
	for _, f := range from {
		if f.Name == "Connection" {
			named = append(named, namedByConnection(http.Header{"Connection": {f.Value}})...)
		}
	}
	// One array for all single values.
	values := make([]string, 0, len(from))
	_, haveID := to["Audit-Id"]
	for i, f := range from {
		if isHopByHop(f.Name) || hasPrefixFold(f.Name, "Access-Control-") || f.Name == "Audit-Id" && haveID || slices.Contains(named, f.Name) {
			continue
		}
		if present, ok := to[f.Name]; ok && (f.Name == "Warning" || isRepeated(from[:i], f.Name)) {
			to[f.Name] = append(present, f.Value)
			continue
		}
		values = append(values, f.Value)
		to[f.Name] = values[len(values)-1 : len(values) : len(values)]
	}
}

func isRepeated(before []wire.Field, name string) bool {
	for i := len(before) - 1; i >= 0; i-- {
		if before[i].Name == name {
			return true
		}
	}
	return false
}
