package registry

import (
	"bytes"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kjson "sigs.k8s.io/json"
)

// checkReadable refuses what could be written but never read again. A time can be such: one that is valid in its own
// zone, or in protobuf, may be in a year of five digits in UTC, which neither this server nor any client can parse.
func (s *Store) checkReadable(body []byte) error {
	if !mayHaveUnreadableTime(body) {
		return nil
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(body, s.res.New()); err != nil {
		return apierrors.NewBadRequest(fmt.Sprintf("the object could not be read again once it is stored: %v", err))
	}
	return nil
}

// mayHaveUnreadableTime tells whether a text in body begins like a time in a year of five digits, or in one before the first. To decode
// each object that is written, only to find that it has none, takes as long as the rest of a small write.
func mayHaveUnreadableTime(body []byte) bool {
	for {
		quote := bytes.IndexByte(body, '"')
		if quote < 0 {
			return false
		}
		body = body[quote+1:]
		rest := bytes.TrimPrefix(body, []byte("-"))
		before := len(rest) < len(body)
		digits := 0
		for digits < len(rest) && '0' <= rest[digits] && rest[digits] <= '9' {
			digits++
		}
		if digits < len(rest) && rest[digits] == '-' && (digits > 4 || digits > 0 && before) {
			return true
		}
	}
}
