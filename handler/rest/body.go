package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// readBody reads a request's body up to limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, err error) {
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	if r.ContentLength != 0 {
		defer boundStalling(w, r)()
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
	case err != nil && errors.Is(r.Context().Err(), context.DeadlineExceeded):
		return nil, apierrors.NewTimeoutError("the body of the request did not come in time", 0)
	case err != nil:
		return nil, apierrors.NewBadRequest("reading the body of the request: the client ended it early")
	}
	return body, nil
}

// boundStalling has no more read of a client when the request's time is over, until the returned function is called. Then nothing is left to be done
// to the connection. The server would like to read the rest of a body before it answers: that ends, too. A writer that cannot do it leaves the client to
// the server's own patience.
func boundStalling(w http.ResponseWriter, r *http.Request) (end func()) {
	ended := make(chan struct{})
	forget := context.AfterFunc(r.Context(), func() {
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
		close(ended)
	})
	return func() {
		if !forget() {
			<-ended
		}
	}
}

func tooLarge(limit int64) error {
	return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("limit is %d", limit))
}
