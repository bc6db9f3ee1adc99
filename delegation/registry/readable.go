package registry

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kjson "sigs.k8s.io/json"
)

// checkReadable refuses what could be written but never read again. A time can be such: one that is valid in its own
// zone, or in protobuf, may be in a year of five digits in UTC, which neither this server nor any client can parse.
func (s *Store) checkReadable(body []byte) error {
	if err := kjson.UnmarshalCaseSensitivePreserveInts(body, s.res.New()); err != nil {
		return apierrors.NewBadRequest(fmt.Sprintf("the object could not be read again once it is stored: %v", err))
	}
	return nil
}
