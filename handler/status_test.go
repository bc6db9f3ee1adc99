package handler_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"

	"github.com/portico-api/portico/handler"
)

func TestWriteError(t *testing.T) {
	things := schema.GroupResource{Group: "g", Resource: "things"}
	for name, test := range map[string]struct {
		err        error
		code       int
		reason     metav1.StatusReason
		message    string
		retryAfter string
	}{
		"an API error is answered as it is":        {apierrors.NewNotFound(things, "x"), 404, metav1.StatusReasonNotFound, `things.g "x" not found`, ""},
		"a wrapped one too":                        {fmt.Errorf("getting: %w", apierrors.NewNotFound(things, "x")), 404, metav1.StatusReasonNotFound, `things.g "x" not found`, ""},
		"retryAfterSeconds becomes a header":       {apierrors.NewTooManyRequests("slow down", 3), 429, metav1.StatusReasonTooManyRequests, "slow down", "3"},
		"a deadline that passed is a timeout":      {fmt.Errorf("writing: %w", context.DeadlineExceeded), 504, metav1.StatusReasonTimeout, "Timeout: request did not complete within the allotted timeout", ""},
		"a body over its limit is too large":       {&http.MaxBytesError{Limit: 7}, 413, metav1.StatusReasonRequestEntityTooLarge, "Request entity too large: limit is 7", ""},
		"any other error keeps its text to itself": {errors.New("secret"), 500, metav1.StatusReasonInternalError, "Internal error occurred: the cause is in the server's log", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			handler.WriteError(w, request(t, "GET", "/"), test.err)
			var status metav1.Status
			if err := json.Unmarshal(w.Body.Bytes(), &status); err != nil {
				t.Fatalf("answer %q: %v", w.Body, err)
			}
			if w.Code != test.code || int(status.Code) != test.code || status.Reason != test.reason || status.Message != test.message || status.Status != "Failure" {
				t.Errorf("WriteError(%v): got %d %+v, want %d %s %q", test.err, w.Code, status, test.code, test.reason, test.message)
			}
			if got := w.Header().Get("Retry-After"); got != test.retryAfter {
				t.Errorf("WriteError(%v): got Retry-After %q, want %q", test.err, got, test.retryAfter)
			}
			if !bytes.HasPrefix(w.Body.Bytes(), []byte(`{"kind":"Status","apiVersion":"v1","metadata":{},`)) {
				t.Errorf("WriteError(%v): got %s, want kind, apiVersion and an empty metadata first", test.err, w.Body)
			}
		})
	}
}

func TestAClientThatHasGoneIsNoFailureOfTheServer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := request(t, "GET", "/").WithContext(ctx)
	for _, c := range []struct {
		name string
		gone bool
		want int
	}{{"the server has cancelled its own work", false, 500}, {"the client has closed the request", true, handler.StatusClientClosedRequest}} {
		if c.gone {
			cancel()
		}
		w := httptest.NewRecorder()
		handler.WriteError(w, r, fmt.Errorf("reading: %w", context.Canceled))
		if w.Code != c.want {
			t.Errorf("%s: got %d, want %d", c.name, w.Code, c.want)
		}
	}
	cancel()
}

func TestWriteErrorChoosesTheMediaType(t *testing.T) {
	for accept, want := range map[string]string{
		"":    "application/json",
		"*/*": "application/json",
		"application/vnd.kubernetes.protobuf,application/json": "application/json",
		"application/yaml":                         "application/yaml",
		"application/yaml;q=0.9, application/json": "application/yaml",
		"application/json, application/yaml":       "application/json",
	} {
		w, r := httptest.NewRecorder(), request(t, "GET", "/")
		r.Header.Set("Accept", accept)
		handler.WriteError(w, r, apierrors.NewBadRequest("no"))
		if got := w.Header().Get("Content-Type"); got != want {
			t.Errorf("Accept %q: got %q, want %q", accept, got, want)
		}
		if yaml := strings.Contains(w.Body.String(), "kind: Status\n"); yaml != (want == "application/yaml") {
			t.Errorf("Accept %q: the body does not match its type: %s", accept, w.Body)
		}
	}
}

func TestWriteErrorLogsWhatItDoesNotTell(t *testing.T) {
	var log bytes.Buffer
	logger := textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&log)))
	ctx := klog.NewContext(handler.WithRequest(t.Context(), &handler.Request{AuditID: "the-id"}), logger)
	handler.WriteError(httptest.NewRecorder(), request(t, "GET", "/x").WithContext(ctx), errors.New("secret"))
	if got := log.String(); !strings.Contains(got, "secret") || !strings.Contains(got, "the-id") {
		t.Errorf("the log says %q, want the cause and the audit ID", got)
	}
}

func TestIndexListsPathsOnceAndSorted(t *testing.T) {
	h := handler.NewAPIServerHandler("test", nil, nil)
	h.Add(service("/apis/g"))
	h.NonGoRestfulMux.Handle("/healthz", nothing)
	h.NonGoRestfulMux.Handle("/apis/g", nothing)
	h.NonGoRestfulMux.UnlistedHandle("/", handler.Index(h, http.StatusOK))
	code, got := answer(t, h, "GET", "/")
	want := "{\n  \"paths\": [\n    \"/apis/g\",\n    \"/healthz\"\n  ]\n}"
	if code != 200 || got != want {
		t.Errorf("GET / = %d %s, want 200 %s", code, got, want)
	}
}
