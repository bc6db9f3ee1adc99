package proxy

import (
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/aggregator/wire"
)

// appendHead appends the head of the outgoing request to head, up to but not including the fields about its body. It is
// written straight from the incoming request, whose header is left as it is: so it can be written again for another endpoint,
// and no map is copied.
func (p *passage) appendHead(head []byte, address string) []byte {
	r := p.r
	head = append(head, r.Method...)
	head = append(head, ' ')
	head = appendPath(head, r.URL.Path)
	if query := cleanQuery(r.URL.RawQuery); query != "" {
		head = append(append(head, '?'), query...)
	}
	head = append(head, " HTTP/1.1\r\n"...)
	head = wire.AppendField(head, "Host", address)
	named := namedByConnection(r.Header)
	for name, values := range r.Header {
		if !passesOn(name) || isReplaced(name) || slices.Contains(named, name) {
			continue
		}
		for _, value := range values {
			head = wire.AppendField(head, name, value)
		}
	}
	head = appendIdentity(head, p.who)
	head = appendForwarded(head, r)
	if auditID := p.h.cfg.AuditIDFrom(r); auditID != "" {
		head = wire.AppendField(head, "Audit-Id", auditID)
	} else if ids := r.Header["Audit-Id"]; len(ids) > 0 {
		head = wire.AppendField(head, "Audit-Id", ids[0])
	}
	if p.protocol != "" {
		head = wire.AppendField(head, "Connection", "Upgrade")
		head = wire.AppendField(head, "Upgrade", p.protocol)
	}
	return head
}

// isMethod tells whether s can begin the line that a request begins with. net/http's server of HTTP/2 takes methods with blanks, which would be
// read as a method and another path.
func isMethod(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isToken(s[i]) {
			return false
		}
	}
	return s != ""
}

// isReplaced tells the headers of a client that pass on in a form of our own.
func isReplaced(name string) bool {
	switch name {
	case "Audit-Id", "Content-Length", "Expect", "Host", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Uri":
		return true
	}
	return false
}

// appendPath escapes a path anew, so that the backend cannot read another one than the one that was authorized.
func appendPath(head []byte, path string) []byte {
	if path == "" {
		return append(head, '/')
	}
	for i := 0; i < len(path); i++ {
		if b := path[i]; !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '/' || b == '-' || b == '.' || b == '_' || b == '~') {
			return append(head, (&url.URL{Path: path}).EscapedPath()...)
		}
	}
	return append(head, path...)
}

// appendIdentity tells who asks.
func appendIdentity(head []byte, who user.Info) []byte {
	head = wire.AppendField(head, headerUser, who.GetName())
	if uid := who.GetUID(); uid != "" {
		head = wire.AppendField(head, headerUID, uid)
	}
	for _, group := range who.GetGroups() {
		head = wire.AppendField(head, headerGroup, group)
	}
	for key, values := range who.GetExtra() {
		for _, value := range values {
			head = wire.AppendField(head, extraHeader(key), value)
		}
	}
	return head
}

// appendForwarded tells where the request came from.
func appendForwarded(head []byte, r *http.Request) []byte {
	client, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		client = r.RemoteAddr
	}
	if prior := r.Header["X-Forwarded-For"]; len(prior) > 0 {
		client = strings.Join(prior, ", ") + ", " + client
	}
	head = wire.AppendField(head, "X-Forwarded-For", client)
	head = wire.AppendField(head, "X-Forwarded-Host", r.Host)
	head = wire.AppendField(head, "X-Forwarded-Proto", "https")
	return wire.AppendField(head, "X-Forwarded-Uri", r.URL.EscapedPath())
}

// appendLength ends the head of a request that has a body of that length; -1 is one that is not known.
func appendLength(head []byte, method string, length int64) []byte {
	switch {
	case length < 0:
		head = append(head, "Transfer-Encoding: chunked\r\n"...)
	case length > 0 || method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch:
		head = append(head, "Content-Length: "...)
		head = strconv.AppendInt(head, length, 10)
		head = append(head, "\r\n"...)
	}
	return append(head, "\r\n"...)
}

// namedByConnection returns the headers that a Connection header declares to be about the connection.
func namedByConnection(header http.Header) (names []string) {
	for _, line := range header["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			switch name = textproto.TrimString(name); {
			case name == "", strings.EqualFold(name, "keep-alive"), strings.EqualFold(name, "close"), strings.EqualFold(name, "upgrade"):
			default:
				names = append(names, textproto.CanonicalMIMEHeaderKey(name))
			}
		}
	}
	return names
}
