package rest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// readBody reads a request's body up to limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, err error) {
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	if deadline, ok := r.Context().Deadline(); ok && r.ContentLength != 0 {
		// A client that stalls is not waited for any longer. Not every writer can do that: then the server's own patience ends it.
		control := http.NewResponseController(w)
		// It stays for one that has not sent all, whose rest the server would like to read before it answers.
		if control.SetReadDeadline(deadline) == nil {
			defer func() {
				if err == nil {
					_ = control.SetReadDeadline(time.Time{})
				}
			}()
		}
	}
	reader := http.MaxBytesReader(w, r.Body, limit)
	if r.ContentLength > 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(reader, body)
	} else {
		body, err = io.ReadAll(reader)
	}
	var exceeded *http.MaxBytesError
	switch {
	case errors.As(err, &exceeded):
		return nil, tooLarge(limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, apierrors.NewTimeoutError("the body of the request did not come in time", 0)
	case err != nil:
		return nil, apierrors.NewBadRequest("reading the body of the request: the client ended it early")
	}
	return body, nil
}

func tooLarge(limit int64) error {
	return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("limit is %d", limit))
}
