package hookclient_test

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	registrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/portico-api/portico/delegation/hookclient"
)

// overdue has ended when it is told so, but nobody has learned of that yet.
type overdue struct {
	context.Context
	over atomic.Bool
}

func (o *overdue) Err() error {
	if o.over.Load() {
		return context.DeadlineExceeded
	}
	return o.Context.Err()
}

func TestAnAnswerIsNoneWhenTheTimeIsOver(t *testing.T) {
	ctx := &overdue{Context: context.WithoutCancel(t.Context())}
	late := false
	hook := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		ctx.over.Store(late)
		w.Write([]byte("yes"))
	}))
	defer hook.Close()
	bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw})
	client := hookclient.NewClients(nil, "test", nil).Of(&registrationv1.WebhookClientConfig{URL: &hook.URL, CABundle: bundle})

	if answer, err := client.Post(ctx, []byte("{}"), time.Minute); err != nil || string(answer) != "yes" {
		t.Errorf("in time: got %q, %v", answer, err)
	}
	late = true
	if answer, err := client.Post(ctx, []byte("{}"), time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("too late: got %q, %v", answer, err)
	}
}
