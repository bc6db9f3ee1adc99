package authentication

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
)

// RequestHeader names the headers in which a trusted front proxy tells who the user is.
type RequestHeader struct {
	// CA verifies the proxy's client certificate; nil trusts no proxy.
	CA CASource
	// AllowedNames are the common names a proxy's certificate may have; empty allows every certificate
	// of the CA.
	AllowedNames        []string
	UsernameHeaders     []string // the first that is not empty counts
	UIDHeaders          []string // the first that is not empty counts
	GroupHeaders        []string // all values of all
	ExtraHeaderPrefixes []string // what follows is the key, percent-encoded
}

// requestHeader believes what a verified front proxy says about its users.
type requestHeader struct {
	verifier *verifier
	names    RequestHeader // canonical
}

func newRequestHeader(names RequestHeader) (*requestHeader, error) {
	h := &requestHeader{names: names}
	for _, headers := range []*[]string{&h.names.UsernameHeaders, &h.names.UIDHeaders, &h.names.GroupHeaders, &h.names.ExtraHeaderPrefixes} {
		canonical := make([]string, 0, len(*headers))
		for _, header := range *headers {
			header = strings.TrimSpace(header)
			if header == "" {
				return nil, errors.New("one of the names is empty")
			}
			canonical = append(canonical, http.CanonicalHeaderKey(header))
		}
		*headers = canonical
	}
	h.verifier = &verifier{
		ca:       names.CA,
		slot:     func(c *connection) *atomic.Pointer[verdict] { return &c.proxy },
		identify: h.allow,
	}
	return h, nil
}

// allow is asked once per connection whether a certificate is a front proxy's.
func (h *requestHeader) allow(leaf *x509.Certificate) (*authenticator.Response, error) {
	if len(h.names.AllowedNames) > 0 && !slices.Contains(h.names.AllowedNames, leaf.Subject.CommonName) {
		return nil, fmt.Errorf("x509: subject with cn=%s is not in the allowed list", leaf.Subject.CommonName)
	}
	return nil, nil
}

func (h *requestHeader) AuthenticateRequest(r *http.Request) (*authenticator.Response, bool, error) {
	d := h.verifier.verify(r, time.Now())
	if d == nil || d.err != nil {
		if d == nil {
			return nil, false, nil
		}
		return nil, false, d.err
	}
	name := firstValue(r.Header, h.names.UsernameHeaders)
	if name == "" {
		return nil, false, nil
	}
	return &authenticator.Response{User: &user.DefaultInfo{
		Name:   name,
		UID:    firstValue(r.Header, h.names.UIDHeaders),
		Groups: withAuthenticated(name, allValues(r.Header, h.names.GroupHeaders)),
		Extra:  h.extra(r.Header),
	}}, true, nil
}

func (h *requestHeader) extra(headers http.Header) map[string][]string {
	extra := map[string][]string{}
	for _, prefix := range h.names.ExtraHeaderPrefixes {
		for header, values := range headers {
			encoded, ok := cutPrefixFold(header, prefix)
			if !ok {
				continue
			}
			encoded = strings.ToLower(encoded)
			key, err := url.PathUnescape(encoded)
			if err != nil {
				key = encoded // rather an odd key than an identity with something left out
			}
			extra[key] = append(extra[key], values...)
		}
	}
	return extra
}

// hide removes all that names a user, so that nobody behind us takes it for true.
func (h *requestHeader) hide(headers http.Header) {
	for _, names := range [...][]string{h.names.UsernameHeaders, h.names.UIDHeaders, h.names.GroupHeaders} {
		for _, name := range names {
			delete(headers, name)
		}
	}
	for _, prefix := range h.names.ExtraHeaderPrefixes {
		for header := range headers {
			if _, ok := cutPrefixFold(header, prefix); ok {
				delete(headers, header)
			}
		}
	}
}

func firstValue(headers http.Header, names []string) string {
	for _, name := range names {
		if values := headers[name]; len(values) > 0 && values[0] != "" {
			return values[0]
		}
	}
	return ""
}

func allValues(headers http.Header, names []string) []string {
	var all []string
	for _, name := range names {
		for _, value := range headers[name] {
			if value != "" {
				all = append(all, value)
			}
		}
	}
	return all
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}
