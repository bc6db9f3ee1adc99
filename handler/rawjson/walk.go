package rawjson

// Members goes behind an object. It calls visit where the value of each member begins; visit may go behind that value, or leave it where it is.
func (s *Scanner) Members(visit func(key []byte)) bool {
	if !s.Take('{') {
		return false
	}
	for more := s.First(); more; more = s.Next() {
		key, ok := s.Key()
		if !ok || !s.visited(func() { visit(key) }) {
			return false
		}
	}
	return s.Done
}

// Elements goes behind an array. It calls visit where each element begins; visit may go behind it, or leave it where it is.
func (s *Scanner) Elements(visit func()) bool {
	if !s.Take('[') {
		return false
	}
	if s.Space(); s.Take(']') {
		return true
	}
	for {
		if !s.visited(visit) {
			return false
		}
		if s.Space(); !s.Take(',') {
			return s.Take(']')
		}
		s.Space()
	}
}

// visited goes behind a value unless visit does.
func (s *Scanner) visited(visit func()) bool {
	begin := s.At
	visit()
	return s.At > begin || s.Value()
}

// Skip goes behind a value and returns it; nil if there is none.
func (s *Scanner) Skip() []byte {
	begin := s.At
	if !s.Value() {
		return nil
	}
	return s.Text[begin:s.At]
}

// Field is the value of a member of an object, the first of that name, or nil.
func Field(object []byte, name string) []byte {
	s := Scanner{Text: object}
	if s.Space(); !s.Take('{') {
		return nil
	}
	for more := s.First(); more; more = s.Next() {
		key, ok := s.Key()
		if !ok {
			return nil
		}
		value := s.Skip()
		if string(key) == name || value == nil {
			return value
		}
	}
	return nil
}
