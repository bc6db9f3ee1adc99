package rest

// rawField returns the value of a top-level field of a JSON object, undecoded, or nil. What a storage
// hands out is valid JSON, so the scan only has to find where values end.
func rawField(object []byte, name string) []byte {
	i := skipSpace(object, 0)
	if i >= len(object) || object[i] != '{' {
		return nil
	}
	for i = skipSpace(object, i+1); i < len(object) && object[i] == '"'; i = skipSpace(object, i) {
		keyEnd := skipString(object, i)
		if keyEnd > len(object) {
			return nil
		}
		key := object[i+1 : keyEnd-1]
		i = skipSpace(object, keyEnd)
		if i >= len(object) || object[i] != ':' {
			return nil
		}
		start := skipSpace(object, i+1)
		i = skipValue(object, start)
		if i > len(object) || i == start {
			return nil
		}
		if string(key) == name {
			return object[start:i]
		}
		if i = skipSpace(object, i); i >= len(object) || object[i] != ',' {
			return nil
		}
		i = skipSpace(object, i+1)
	}
	return nil
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index behind the string that starts at i, or one beyond len(b) when it has no
// end.
func skipString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b) + 1
}

// skipValue returns the index behind the value that starts at i.
func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = skipString(b, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
			i++
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
			i++
			continue
		default:
			i++
			continue
		}
		if depth == 0 {
			return i
		}
	}
	return i
}
