package proxy

import "net/url"

// cleanQuery returns a query in which the backend reads exactly what the filters have read: parts
// that net/url cannot parse are dropped by it in silence, but another parser may understand them.
// Nearly every query is clean and is returned as it is.
func cleanQuery(raw string) string {
	if isCleanQuery(raw) {
		return raw
	}
	// The error names the first bad part; the values are all the good ones, which is what counts.
	values, _ := url.ParseQuery(raw)
	return values.Encode()
}

func isCleanQuery(raw string) bool {
	for i := 0; i < len(raw); i++ {
		switch b := raw[i]; {
		case b == '%':
			if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
				return false
			}
			i += 2
		case b <= ' ', b >= 0x7f, b == ';', b == '#', b == '"', b == '<', b == '>':
			return false
		}
	}
	return true
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
}
