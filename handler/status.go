package handler

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"sigs.k8s.io/yaml"
)

// WriteError answers r with err as a metav1.Status in JSON (YAML when that is what the client asks for first), with
// the code, reason and Retry-After of an apierrors.APIStatus. A deadline that has passed is a 504 and a body
// over its limit a 413; a client that has gone gets a 499 that only counts. Any other error is a 500 whose text is not the client's to read; it is
// logged. r may be nil where it must not be touched; the answer is JSON then.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	status := statusOf(r, err)
	if d := status.Details; d != nil && d.RetryAfterSeconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(d.RetryAfterSeconds)))
	}
	recordError(r, status)
	body, contentType := encodeStatus(r, status)
	h := w.Header()
	h.Set("Content-Type", contentType)
	// Messages quote what the client sent: no browser may take them for a page.
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Del("Content-Encoding") // of the answer that is not sent
	w.WriteHeader(int(status.Code))
	w.Write(body) // a client that has gone needs no answer
}

// statusOf is the answer to err.
func statusOf(r *http.Request, err error) *metav1.Status {
	var api apierrors.APIStatus
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &api):
	case errors.Is(err, context.DeadlineExceeded):
		api = apierrors.NewTimeoutError("request did not complete within the allotted timeout", 0)
	case errors.Is(err, context.Canceled) && r != nil && r.Context().Err() != nil:
		api = errClientGone()
	case errors.As(err, &tooLarge):
		api = apierrors.NewRequestEntityTooLargeError("limit is " + strconv.FormatInt(tooLarge.Limit, 10))
	default:
		logUnexpected(r, err)
		api = apierrors.NewInternalError(errors.New("the cause is in the server's log"))
	}
	status := api.Status()
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	if status.Status == "" {
		status.Status = metav1.StatusFailure
	}
	if status.Code < 100 || status.Code > 999 {
		status.Code = http.StatusInternalServerError
	}
	return &status
}

// StatusClientClosedRequest is the code of a request whose client did not wait for the answer. Nobody reads it:
// it keeps such requests apart from those that failed, which operators are woken for.
const StatusClientClosedRequest = 499

func errClientGone() apierrors.APIStatus {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: StatusClientClosedRequest, Message: "the client has closed the request",
	}}
}

// logUnexpected leaves for the operator what the client is not told.
func logUnexpected(r *http.Request, err error) {
	if r == nil {
		klog.Background().Error(err, "Answering with an internal error")
		return
	}
	auditID := ""
	if rq, ok := RequestFrom(r.Context()); ok {
		auditID = rq.AuditID
	}
	klog.FromContext(r.Context()).Error(err, "Answering with an internal error",
		"method", r.Method, "path", r.URL.Path, "auditID", auditID)
}

func encodeStatus(r *http.Request, status *metav1.Status) (body []byte, contentType string) {
	if r != nil && prefersYAML(r.Header.Get("Accept")) {
		if body, err := yaml.Marshal(status); err == nil {
			return body, "application/yaml"
		}
	}
	return append(statusJSON(status), '\n'), "application/json"
}

func statusJSON(status *metav1.Status) []byte {
	body, err := json.Marshal(status)
	if err != nil { // impossible: a Status holds strings and numbers only
		panic(err)
	}
	return body
}

// prefersYAML tells whether YAML is the first media type of an Accept header. Everything that reads a Status reads JSON,
// so every other wish gets that.
func prefersYAML(accept string) bool {
	first, _, _ := strings.Cut(accept, ",")
	first, _, _ = strings.Cut(first, ";")
	first = strings.TrimSpace(first)
	return strings.EqualFold(first, "application/yaml")
}
