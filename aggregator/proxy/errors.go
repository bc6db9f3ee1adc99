package proxy

import (
	"context"
	"errors"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

// Words of the contract (5.4): clients and people look for them in the answers of a front door.
const (
	messageUnavailable    = "service unavailable"
	messageMissingUser    = "missing user"
	messageIdentity       = "the user cannot be told to the backend: its name, groups or extra hold line breaks or begin or end with a blank"
	messageMethod         = "the method is malformed"
	messageRedirect       = "the backend attempted to redirect this request, which is not permitted"
	messageInvalidUpgrade = "invalid upgrade response"
	messageUnreachable    = "error trying to reach service: "
	messageTimeout        = "the backend did not answer within the time that the request had"
	messageStopping       = "apiserver is shutting down"
)

// fail answers r with an error of our own. It must not be called once the backend's answer has
// begun; abort is for that.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err apierrors.APIStatus) {
	if errors.Is(r.Context().Err(), context.Canceled) {
		abort() // nobody is listening: the request counts as aborted, not as answered
	}
	h.answer(w, r, err)
}

// answer is fail where r may seem to have been cancelled and has not.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, err apierrors.APIStatus) {
	status := err.Status()
	klog.FromContext(r.Context()).V(2).Info("Proxying failed", "method", r.Method, "path", r.URL.Path, "code", status.Code, "err", status.Message)
	h.cfg.OnError(r, int(status.Code))
	h.cfg.WriteError(w, r, &apierrors.StatusError{ErrStatus: status})
}

// abort ends the client's stream in a way that it cannot take for a complete answer: HTTP/1.1
// closes the connection, HTTP/2 resets the stream.
func abort() { panic(http.ErrAbortHandler) }

func errMissingUser() apierrors.APIStatus {
	return apierrors.NewInternalError(errors.New(messageMissingUser))
}

func errIdentity() apierrors.APIStatus {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    http.StatusForbidden,
		Reason:  metav1.StatusReasonForbidden,
		Message: messageIdentity,
	}}
}

func errMethod() apierrors.APIStatus { return apierrors.NewBadRequest(messageMethod) }

func errRedirect() apierrors.APIStatus {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    http.StatusBadGateway,
		Message: messageRedirect,
	}}
}

func errInvalidUpgrade() apierrors.APIStatus {
	return apierrors.NewServiceUnavailable(messageInvalidUpgrade)
}

// bodyError says why a request's body could not be read: that is the client's doing.
func bodyError(err error) apierrors.APIStatus {
	if isTooLarge(err) {
		return apierrors.NewRequestEntityTooLargeError(err.Error())
	}
	return apierrors.NewBadRequest("reading the request's body: " + err.Error())
}

// pickError says why there is no endpoint. The reason of an unresolvable service stands in the
// APIService's condition; the client of the API is only told that it is not there.
func pickError(err error) apierrors.APIStatus {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return status
	}
	return apierrors.NewServiceUnavailable(messageUnavailable)
}

// reachError says why an endpoint gave no answer. The cause is part of the message, as upstream has
// it: who calls an extension API is often the one who runs it.
func reachError(ctx context.Context, err error) apierrors.APIStatus {
	switch {
	case isStopping(ctx):
		return apierrors.NewServiceUnavailable(messageStopping)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return apierrors.NewTimeoutError(messageTimeout, 0)
	}
	return apierrors.NewServiceUnavailable(messageUnreachable + err.Error())
}
