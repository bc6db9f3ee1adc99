package filters

import "net/http"

// identityHeaders are the headers that carry credentials or name a user. They are recognised in every spelling: some
// backends take an underscore for a dash.
type identityHeaders struct {
	names, prefixes []string
	initials        [256]bool // the first bytes of all of them, so that most headers are passed over at once
}

func newIdentityHeaders(c *Config) *identityHeaders {
	h := &identityHeaders{
		names:    append([]string{"Authorization", "X-Remote-User", "X-Remote-Uid", "X-Remote-Group"}, c.IdentityHeaders...),
		prefixes: append([]string{"X-Remote-Extra-"}, c.IdentityHeaderPrefixes...),
	}
	for _, names := range [][]string{h.names, h.prefixes} {
		for _, name := range names {
			if name != "" {
				h.initials[plain(name[0])] = true
			}
		}
	}
	return h
}

// remove deletes them.
func (h *identityHeaders) remove(header http.Header) {
	for name := range header {
		if name != "" && h.initials[plain(name[0])] && h.matches(name) {
			delete(header, name)
		}
	}
}

func (h *identityHeaders) matches(name string) bool {
	for _, n := range h.names {
		if len(name) == len(n) && hasPlainPrefix(name, n) {
			return true
		}
	}
	for _, prefix := range h.prefixes {
		if prefix != "" && hasPlainPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// hasPlainPrefix is strings.HasPrefix for which case does not matter and a dash may be an underscore.
func hasPlainPrefix(name, prefix string) bool {
	if len(name) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		if plain(name[i]) != plain(prefix[i]) {
			return false
		}
	}
	return true
}

func plain(b byte) byte {
	switch {
	case b == '_':
		return '-'
	case 'A' <= b && b <= 'Z':
		return b | 0x20
	}
	return b
}
