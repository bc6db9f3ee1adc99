package rawjson

import "bytes"

// Scanner walks over JSON byte by byte. It never recurses, so no nesting is too deep for it. Its methods tell whether they found what they look for;
// where it stands after they did not means nothing.
type Scanner struct {
	Text []byte
	At   int  // how far it is, in bytes
	Done bool // the object that First and Next walk over has ended
}

// Space goes behind white space.
func (s *Scanner) Space() {
	for s.At < len(s.Text) && (s.Text[s.At] == ' ' || s.Text[s.At] == '\n' || s.Text[s.At] == '\t' || s.Text[s.At] == '\r') {
		s.At++
	}
}

// Take goes behind one byte, if it is c.
func (s *Scanner) Take(c byte) bool {
	if s.At >= len(s.Text) || s.Text[s.At] != c {
		return false
	}
	s.At++
	return true
}

// First goes to the first member of an object just entered; false when it has none.
func (s *Scanner) First() bool {
	s.Space()
	s.Done = s.Take('}')
	return !s.Done && s.At < len(s.Text)
}

// Next goes from behind a member to the one after it; false at the end of the object, and where the JSON is broken.
func (s *Scanner) Next() bool {
	s.Space()
	if s.Take(',') {
		s.Space()
		return s.At < len(s.Text)
	}
	s.Done = s.Take('}')
	return false
}

// Key reads a member's name, without its quotes, and the colon behind it.
func (s *Scanner) Key() ([]byte, bool) {
	from := s.At + 1
	if !s.String() {
		return nil, false
	}
	key := s.Text[from : s.At-1]
	s.Space()
	if !s.Take(':') {
		return nil, false
	}
	s.Space()
	return key, true
}

// String goes behind a string.
func (s *Scanner) String() bool {
	if !s.Take('"') {
		return false
	}
	for {
		n := bytes.IndexByte(s.Text[s.At:], '"')
		if n < 0 {
			return false
		}
		at := s.At + n
		slashes := 0
		for at-1-slashes >= s.At && s.Text[at-1-slashes] == '\\' {
			slashes++
		}
		s.At = at + 1
		if slashes%2 == 0 {
			return true
		}
	}
}

// Value goes behind a value of any kind.
func (s *Scanner) Value() bool {
	if s.At >= len(s.Text) {
		return false
	}
	switch s.Text[s.At] {
	case '"':
		return s.String()
	case '{', '[':
		return s.composite()
	}
	from := s.At
	for s.At < len(s.Text) {
		switch s.Text[s.At] {
		case ',', '}', ']', ':', '"', '{', '[', ' ', '\t', '\r', '\n':
			return s.At > from
		}
		s.At++
	}
	return s.At > from
}

func (s *Scanner) composite() bool {
	depth := 0
	for s.At < len(s.Text) {
		switch s.Text[s.At] {
		case '"':
			if !s.String() {
				return false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			if depth == 0 {
				s.At++
				return true
			}
		}
		s.At++
	}
	return false
}
