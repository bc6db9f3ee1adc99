package storage

import "bytes"

const jsonSpace = " \t\r\n"

// scanner walks over JSON byte by byte. It never recurses, so no nesting is too deep for it.
type scanner struct {
	b    []byte
	i    int
	done bool // the object that first and next walk over has ended
}

func (s *scanner) space() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\n' || s.b[s.i] == '\t' || s.b[s.i] == '\r') {
		s.i++
	}
}

func (s *scanner) take(c byte) bool {
	if s.i >= len(s.b) || s.b[s.i] != c {
		return false
	}
	s.i++
	return true
}

// first goes to the first member of an object just entered; false when it has none.
func (s *scanner) first() bool {
	s.space()
	s.done = s.take('}')
	return !s.done && s.i < len(s.b)
}

// next goes from behind a member to the one after it; false at the end of the object, and where the JSON is broken.
func (s *scanner) next() bool {
	s.space()
	if s.take(',') {
		s.space()
		return s.i < len(s.b)
	}
	s.done = s.take('}')
	return false
}

// key reads a member's name, without its quotes, and the colon behind it.
func (s *scanner) key() ([]byte, bool) {
	from := s.i + 1
	if !s.string() {
		return nil, false
	}
	key := s.b[from : s.i-1]
	s.space()
	if !s.take(':') {
		return nil, false
	}
	s.space()
	return key, true
}

// string goes behind a string.
func (s *scanner) string() bool {
	if !s.take('"') {
		return false
	}
	for {
		n := bytes.IndexByte(s.b[s.i:], '"')
		if n < 0 {
			return false
		}
		at := s.i + n
		slashes := 0
		for at-1-slashes >= s.i && s.b[at-1-slashes] == '\\' {
			slashes++
		}
		s.i = at + 1
		if slashes%2 == 0 {
			return true
		}
	}
}

// value goes behind a value of any kind.
func (s *scanner) value() bool {
	if s.i >= len(s.b) {
		return false
	}
	switch s.b[s.i] {
	case '"':
		return s.string()
	case '{', '[':
		return s.composite()
	}
	from := s.i
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ',', '}', ']', ':', '"', '{', '[', ' ', '\t', '\r', '\n':
			return s.i > from
		}
		s.i++
	}
	return s.i > from
}

func (s *scanner) composite() bool {
	depth := 0
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case '"':
			if !s.string() {
				return false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			if depth == 0 {
				s.i++
				return true
			}
		}
		s.i++
	}
	return false
}
