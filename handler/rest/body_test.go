package rest_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/portico-api/portico/handler/rest"
)

func TestAClientThatStallsIsNotWaitedForBeyondTheDeadline(t *testing.T) {
	read := make(chan error, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := rest.ReadBody(w, r.WithContext(ctx), 100)
		time.Sleep(100 * time.Millisecond) // longer than the deadline, which is for the body alone
		if err == nil && r.Context().Err() != nil {
			t.Error("the request has ended with the deadline of its body")
		}
		if err != nil {
			w.WriteHeader(http.StatusGatewayTimeout)
		}
		read <- err
	}))
	defer server.Close()
	client, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
	if _, err := io.WriteString(client, head+"0123456789"); err != nil {
		t.Fatal(err)
	}
	if err := <-read; err != nil {
		t.Errorf("got %v of a whole body", err)
	}
	if _, err := io.WriteString(client, head+"01234"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-read:
		if !apierrors.IsTimeout(err) {
			t.Errorf("got %v of a body that does not come", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the body is waited for")
	}
	if err := client.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if told, err := io.ReadAll(client); err != nil || !strings.Contains(string(told), "504") {
		t.Errorf("the client is told %q, %v", told, err)
	}
}
