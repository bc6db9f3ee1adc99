package proxy_test

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/net/http/httpguts"

	"github.com/portico-api/portico/aggregator/proxy"
)

// FuzzCleanQuery: the backend can read nothing from the query that the filters have not read.
func FuzzCleanQuery(f *testing.F) {
	for _, q := range []string{"", "a=1&b=2", "a=%2F", "a=%2", "a=%zz", "a;b=1", "a=1;watch=1&c=2", "a b", "\x00", "ä=ö", "watch=1#x", "&&=&", "a=\r\nX: y"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		want, _ := url.ParseQuery(raw)
		clean := proxy.CleanQuery(raw)
		got, err := url.ParseQuery(clean)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q became %q, read as %v, error %v; the filters read %v", raw, clean, got, err, want)
		}
		if strings.ContainsAny(clean, ";# \r\n\t") {
			t.Errorf("%q became %q, which other parsers may read otherwise", raw, clean)
		}
	})
}

// FuzzPassesOn: no spelling of a header that a backend could take for one of ours passes.
func FuzzPassesOn(f *testing.F) {
	for _, name := range []string{"X-Remote-User", "x_remote_user", "X-REMOTE-EXTRA-a", "X-Remote_Group", "Authorization", "AUTHORIZATION", "Impersonate-Uid", "Accept", "", "Upgrade", "X-Remot"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		variable := strings.ReplaceAll(strings.ToUpper(name), "-", "_")
		forbidden := strings.HasPrefix(variable, "X_REMOTE_") || strings.HasPrefix(variable, "IMPERSONATE_") || variable == "AUTHORIZATION"
		// ToUpper maps some letters outside of ASCII into it; no header name has those.
		if forbidden && httpguts.ValidHeaderFieldName(name) && proxy.PassesOn(name) {
			t.Errorf("%q passes", name)
		}
	})
}

// FuzzExtraHeader: every key of a user's extra is a valid header name from which it can be read
// back, in lower case as every reader does.
func FuzzExtraHeader(f *testing.F) {
	for _, key := range []string{"scopes", "example.com/a", "a%b", "authentication.kubernetes.io/credential-id", "ä", "a b\r\nc", ""} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		name := proxy.ExtraHeader(key)
		if !httpguts.ValidHeaderFieldName(name) || http.CanonicalHeaderKey(name) != name {
			t.Fatalf("key %q: %q is not a canonical header name", key, name)
		}
		got, err := url.PathUnescape(strings.ToLower(strings.TrimPrefix(name, "X-Remote-Extra-")))
		if want := lowerASCII(key); err != nil || got != want {
			t.Errorf("key %q is read back as %q, error %v; want %q", key, got, err, want)
		}
	})
}

// lowerASCII lowers what a header name holds as it is; escaped bytes keep their case.
func lowerASCII(s string) string {
	b := []byte(s)
	for i := range b {
		if 'A' <= b[i] && b[i] <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}
