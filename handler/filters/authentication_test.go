package filters_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"testing"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
)

func TestUnauthorized(t *testing.T) {
	for name, answer := range map[string]struct {
		ok  bool
		err error
	}{"nobody recognised": {}, "an error": {false, errors.New("bad token")}, "an error and yet ok": {true, errors.New("bad token")}} {
		t.Run(name, func(t *testing.T) {
			c := config()
			c.Authenticator = authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
				return &authenticator.Response{User: someone}, answer.ok, answer.err
			})
			w := ask(t, ok, c, "GET", "/healthz")
			want := `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}` + "\n"
			if w.Code != 401 || w.Body.String() != want {
				t.Errorf("got %d %s, want 401 %s", w.Code, w.Body, want)
			}
		})
	}
}

func TestCredentialsGoNoFurther(t *testing.T) {
	c := config()
	c.IdentityHeaders, c.IdentityHeaderPrefixes = []string{"Front-User"}, []string{"Front-Extra-"}
	var got http.Header
	ask(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }), c, "GET", "/",
		"Authorization", "Bearer x", "X-Remote-User", "a", "X-Remote-Uid", "a", "X-Remote-Group", "a", "X-Remote-Extra-Scopes", "a",
		"X_remote_user", "a", "X-Remote_Group", "a", "Front-User", "a", "Front_extra_x", "a", "X-Remote-Other", "kept", "Accept", "kept")
	if len(got) != 2 || got["X-Remote-Other"] == nil || got["Accept"] == nil {
		t.Errorf("behind authentication the headers are %v", got)
	}
}

func TestUnknownClientsGetOneHTTP2RequestPerConnection(t *testing.T) {
	c := config()
	c.Authenticator = everyone(&user.DefaultInfo{Name: user.Anonymous})
	url, clients := serve(t, ok, c)
	for version, want := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		var conns []net.Conn
		for range 2 {
			ctx := context.Background()
			r, _ := http.NewRequestWithContext(withConns(ctx, &conns), "GET", url, nil)
			response, err := clients[version].Do(r)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
		if got := conns[0] != conns[1]; got != want {
			t.Errorf("%s: anonymous requests use different connections: %v, want %v", version, got, want)
		}
	}
}

// withConns notes the connection of each request.
func withConns(ctx context.Context, conns *[]net.Conn) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { *conns = append(*conns, info.Conn) },
	})
}
