package rest_test

import (
	"context"
	"encoding/binary"
	stdjson "encoding/json"
	"net/http/httptest"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"github.com/portico-api/portico/handler/rest"
)

// outrun is a watch whose history is gone before its first event.
type outrun struct{}

func (outrun) Watch(context.Context, string, *rest.ListOptions) (rest.Watch, error) {
	return outrun{}, nil
}

func (outrun) Next() ([]rest.Event, error) {
	return nil, apierrors.NewResourceExpired("too old resource version: 1 (7)")
}

func (outrun) Stop() {}

// It is from the last frame that a client learns to list again.
func TestAWatchThatCannotGoOnSaysWhyInItsLastFrame(t *testing.T) {
	for accept, read := range map[string]func(frame []byte, event *metav1.WatchEvent) error{
		"application/json": func(frame []byte, event *metav1.WatchEvent) error { return stdjson.Unmarshal(frame, event) },
		"application/vnd.kubernetes.protobuf;stream=watch": func(frame []byte, event *metav1.WatchEvent) error {
			return event.Unmarshal(frame[4 : 4+binary.BigEndian.Uint32(frame)])
		},
	} {
		t.Run(accept, func(t *testing.T) {
			resource := bindings(t, outrun{})
			r := httptest.NewRequest("GET", "/api/v1/watch/bindings", nil)
			r.Header.Set("Accept", accept)
			w := httptest.NewRecorder()
			serve(t, rest.Config{}, resource).ServeHTTP(w, r)

			var event metav1.WatchEvent
			if err := read(w.Body.Bytes(), &event); err != nil || event.Type != "ERROR" {
				t.Fatalf("got %q %v of %d %q", event.Type, err, w.Code, w.Body)
			}
			obj, _, err := serializer.NewCodecFactory(resource.Scheme).UniversalDeserializer().Decode(event.Object.Raw, nil, nil)
			if err != nil {
				t.Fatalf("a client cannot read %q: %v", event.Object.Raw, err)
			}
			if err := apierrors.FromObject(obj); !apierrors.IsResourceExpired(err) {
				t.Errorf("got %v, want expired", err)
			}
		})
	}
}
