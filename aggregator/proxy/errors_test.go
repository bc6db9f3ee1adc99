package proxy_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/aggregator/proxy"
)

// statusOf reads an answer that must be a Status.
func statusOf(t *testing.T, answer *http.Response) metav1.Status {
	t.Helper()
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var s metav1.Status
	if err := json.Unmarshal(body, &s); err != nil || s.Kind != "Status" || int(s.Code) != answer.StatusCode {
		t.Fatalf("answer %d with body %q is not a Status of that code", answer.StatusCode, body)
	}
	return s
}

func TestErrorsAreTheContracts(t *testing.T) {
	unresolved := errors.New("service/x in \"y\" is not present")
	for _, c := range []struct {
		name    string
		backend http.HandlerFunc
		change  func(*proxy.Config)
		code    int
		message string
	}{
		{"no user is 500", nil, func(c *proxy.Config) {
			c.UserFrom = func(*http.Request) (user.Info, bool) { return nil, false }
		}, 500, "missing user"},
		{"no endpoint is 503", nil, func(c *proxy.Config) {
			c.Backend.(*target).err = unresolved
		}, 503, "service unavailable"},
		{"a transport that cannot be made is 500", nil, func(c *proxy.Config) {
			c.Backend.(*target).err = apierrors.NewInternalError(errors.New("reading caBundle: broken"))
		}, 500, "reading caBundle: broken"},
		{"a backend that refuses is 503", nil, func(c *proxy.Config) {
			c.Backend.(*target).address = closedPort(t)
		}, 503, "connection refused"},
		{"a certificate that is not trusted is 503", nil, func(c *proxy.Config) {
			c.Backend.(*target).dialer.TLS.RootCAs = nil
		}, 503, "certificate"},
		{"a redirect is 502", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example.com/", http.StatusFound)
		}, nil, 502, "the backend attempted to redirect this request, which is not permitted"},
		{"an unwanted change of protocol is 503", func(w http.ResponseWriter, r *http.Request) {
			answerRaw(t, w, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		}, nil, 503, "invalid upgrade response"},
		{"garbage is 503", func(w http.ResponseWriter, r *http.Request) {
			answerRaw(t, w, "garbage\r\n\r\n")
		}, nil, 503, "malformed"},
		{"a closed connection is 503", func(w http.ResponseWriter, r *http.Request) {
			answerRaw(t, w, "")
		}, nil, 503, "error trying to reach service"},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, func(t *testing.T, http2 bool) {
				var told []int
				url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
					if c.backend != nil {
						c.backend(w, r)
					}
				}, func(cfg *proxy.Config) {
					if c.change != nil {
						c.change(cfg)
					}
					cfg.OnError = func(_ *http.Request, code int) { told = append(told, code) }
				})
				answer, err := client(http2).Get(url + "/apis/example.com/v1/things")
				if err != nil {
					t.Fatal(err)
				}
				s := statusOf(t, answer)
				if int(s.Code) != c.code || !strings.Contains(s.Message, c.message) {
					t.Errorf("answer %d %q, want %d with %q", s.Code, s.Message, c.code, c.message)
				}
				if !reflect.DeepEqual(told, []int{c.code}) {
					t.Errorf("OnError was told %v, want %d once", told, c.code)
				}
			})
		})
	}
}

func closedPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	return ln.Addr().String()
}

// answerRaw writes to the connection what an HTTP server never would.
func answerRaw(t *testing.T, w http.ResponseWriter, raw string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	_, _ = io.WriteString(conn, raw)
	conn.Close()
}

func TestABackendThatHangsEndsWithTheRequestsDeadline(t *testing.T) {
	hanging := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	cert, roots := certificate(t)
	back := server(t, cert, http.HandlerFunc(hanging))
	h, err := proxy.New(config(newTarget(t, back.Listener.Addr().String(), roots)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(50*time.Millisecond))
	defer cancel()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/apis/example.com/v1/things", nil))
	if s := statusOf(t, w.Result()); s.Code != 504 || s.Reason != metav1.StatusReasonTimeout {
		t.Errorf("answer is %d %s, want 504 Timeout", s.Code, s.Reason)
	}
}

func TestABackendThatClosesMidBodyAbortsTheClientsStream(t *testing.T) {
	for name, raw := range map[string]string{
		"with a length": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
		"chunked":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, http2 bool) {
				url, client := front(t, func(w http.ResponseWriter, r *http.Request) { answerRaw(t, w, raw) }, nil)
				answer, err := client(http2).Get(url + "/apis/example.com/v1/things")
				if err != nil {
					return // aborted before the client saw the header: not taken for an answer either
				}
				defer answer.Body.Close()
				if body, err := io.ReadAll(answer.Body); err == nil {
					t.Errorf("the client read %q as a complete answer", body)
				}
			})
		})
	}
}
