package rawjson

import "errors"

// Errors of Members and Elements.
var (
	errObject = errors.New("no JSON object, or one that does not end")
	errArray  = errors.New("no JSON array, or one that does not end")
)

// Member is one of an object. Its parts are those of the text it was found in.
type Member struct {
	Key   []byte // without its quotes, its escapes as they are
	Value []byte
	Text  []byte // both, with the quotes and the colon
	At    int    // where the value begins in the object
}

// Members visits the members of an object one after another.
func Members(object []byte, visit func(Member)) error {
	s := Scanner{Text: object}
	if s.Space(); !s.Take('{') {
		return errObject
	}
	for more := s.First(); more; more = s.Next() {
		begin := s.At
		key, ok := s.Key()
		if !ok {
			return errObject
		}
		value := s.At
		if !s.Value() {
			return errObject
		}
		visit(Member{Key: key, Value: object[value:s.At], Text: object[begin:s.At], At: value})
	}
	if !s.Done {
		return errObject
	}
	return nil
}

// Elements visits the elements of an array one after another, and tells where in it they begin.
func Elements(array []byte, visit func(at int, value []byte)) error {
	s := Scanner{Text: array}
	if s.Space(); !s.Take('[') {
		return errArray
	}
	if s.Space(); s.Take(']') {
		return nil
	}
	for {
		begin := s.At
		if !s.Value() {
			return errArray
		}
		visit(begin, array[begin:s.At])
		if s.Space(); !s.Take(',') {
			break
		}
		s.Space()
	}
	if !s.Take(']') {
		return errArray
	}
	return nil
}

// Field is the value of a member of an object, or nil.
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
		begin := s.At
		if !s.Value() {
			return nil
		}
		if string(key) == name {
			return object[begin:s.At]
		}
	}
	return nil
}
