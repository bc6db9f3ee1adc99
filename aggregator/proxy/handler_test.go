package proxy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
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

func TestAnswersPassUntouched(t *testing.T) {
	both(t, func(t *testing.T, http2 bool) {
		url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Content-Type", "text/odd")
			w.Header().Set("X-Backend", "yes")
			w.Header().Set("Access-Control-Allow-Origin", "*")
			w.Header().Set("Connection", "X-Hop")
			w.Header().Set("X-Hop", "no")
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprintf(w, "%s %s %s", r.Method, r.RequestURI, body)
		}, nil)
		for _, c := range []struct{ method, path, body, want string }{
			{"GET", "/apis/example.com/v1/things?limit=5&continue=a%2Fb", "", "GET /apis/example.com/v1/things?limit=5&continue=a%2Fb "},
			{"POST", "/apis/example.com/v1/things", `{"a":1}`, `POST /apis/example.com/v1/things {"a":1}`},
			{"DELETE", "/apis/example.com/v1/things/a%20b", "", "DELETE /apis/example.com/v1/things/a%20b "},
			{"PATCH", "/apis/example.com/v1/things?x=1;y=2&z=3", "p", "PATCH /apis/example.com/v1/things?z=3 p"},
		} {
			r, _ := http.NewRequest(c.method, url+c.path, strings.NewReader(c.body))
			answer, err := client(http2).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			if answer.StatusCode != http.StatusTeapot || string(body) != c.want {
				t.Errorf("%s %s: answer %d %q, want 418 %q", c.method, c.path, answer.StatusCode, body, c.want)
			}
			if h := answer.Header; h.Get("Content-Type") != "text/odd" || h.Get("X-Backend") != "yes" || h.Get("Access-Control-Allow-Origin") != "" || h.Get("X-Hop") != "" {
				t.Errorf("%s %s: header %v, want the backend's without CORS and hop-by-hop", c.method, c.path, h)
			}
		}
	})
}

func TestTheBackendSeesTheUserAndNoForgery(t *testing.T) {
	both(t, func(t *testing.T, http2 bool) {
		seen := make(chan http.Header, 1)
		url, client := front(t, func(w http.ResponseWriter, r *http.Request) { seen <- r.Header }, nil)
		r, _ := http.NewRequest(http.MethodGet, url+"/apis/example.com/v1/things", nil)
		for name, value := range map[string]string{
			"X-Remote-User": "root", "X-Remote-Group": "system:masters", "X-Remote-Uid": "0", "X-Remote-Extra-Scopes": "all",
			"X_Remote_User": "root", "x_remote-group": "system:masters", "X-Remote_Extra-a": "b", "Some_Name": "x",
			"Authorization": "Bearer secret", "Impersonate-User": "root", "Impersonate-Extra-a": "b",
			"Proxy-Authorization": "Basic x", "Keep-Alive": "5", "Te": "trailers",
			"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Host": "evil", "Audit-Id": "forged",
			"Accept": "application/json", "X-Own": "kept",
		} {
			r.Header[name] = []string{value}
		}
		answer, err := client(http2).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		got := <-seen
		delete(got, "User-Agent")
		delete(got, "Content-Length")
		want := http.Header{
			"X-Remote-User":                         {"alice"},
			"X-Remote-Uid":                          {"42"},
			"X-Remote-Group":                        {"developers", "system:authenticated"},
			"X-Remote-Extra-Example.com%2fscope%25": {"one", "two"},
			"X-Forwarded-For":                       {"192.0.2.7, 127.0.0.1"},
			"X-Forwarded-Host":                      {strings.TrimPrefix(url, "https://")},
			"X-Forwarded-Proto":                     {"https"},
			"X-Forwarded-Uri":                       {"/apis/example.com/v1/things"},
			"Audit-Id":                              {"audit-1"},
			"Accept":                                {"application/json"},
			"X-Own":                                 {"kept"},
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("the backend got\n%v\nwant\n%v", got, want)
		}
	})
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
			c.Backend.(*target).transport.TLSClientConfig.RootCAs = nil
		}, 503, "certificate"},
		{"a redirect is 502", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example.com/", http.StatusFound)
		}, nil, 502, "the backend attempted to redirect this request, which is not permitted"},
		{"an unwanted change of protocol is 503", func(w http.ResponseWriter, r *http.Request) {
			answerRaw(t, w, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		}, nil, 503, "invalid upgrade response"},
		{"garbage is 503", func(w http.ResponseWriter, r *http.Request) {
			answerRaw(t, w, "garbage\r\n\r\n")
		}, nil, 503, "malformed HTTP"},
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

func TestEventsAreStreamedAsTheyCome(t *testing.T) {
	both(t, func(t *testing.T, http2 bool) {
		next := make(chan string)
		url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			for event := range next {
				_, _ = io.WriteString(w, event)
				_ = http.NewResponseController(w).Flush()
			}
		}, nil)
		// The header arrives before there is any event.
		answer, err := client(http2).Get(url + "/apis/example.com/v1/things?watch=1")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		for _, event := range []string{"one\n", strings.Repeat("x", 100_000) + "\n", "two\n", "three\n"} {
			next <- event
			got := make([]byte, len(event))
			if _, err := io.ReadFull(answer.Body, got); err != nil || string(got) != event {
				t.Fatalf("read %d bytes, error %v; want the event of %d bytes", len(got), err, len(event))
			}
		}
		close(next)
		if rest, err := io.ReadAll(answer.Body); err != nil || len(rest) > 0 {
			t.Errorf("after the last event: %q, error %v; want a clean end", rest, err)
		}
	})
}

func TestTheHeaderOfASlowAnswerIsShown(t *testing.T) {
	both(t, func(t *testing.T, http2 bool) {
		release := make(chan struct{})
		url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-release
			_, _ = io.WriteString(w, "late")
		}, nil)
		answer, err := client(http2).Get(url + "/apis/example.com/v1/things/one/log") // not a watch
		close(release)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if body, err := io.ReadAll(answer.Body); string(body) != "late" || err != nil {
			t.Errorf("body %q, error %v", body, err)
		}
	})
}

func TestWatchesEndCleanlyWhenTheServerStops(t *testing.T) {
	both(t, func(t *testing.T, http2 bool) {
		stopping, left := make(chan struct{}), make(chan struct{})
		url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "event\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			close(left)
		}, func(c *proxy.Config) { c.Stopping = stopping })
		answer, err := client(http2).Get(url + "/apis/example.com/v1/things?watch=1")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		first := make([]byte, len("event\n"))
		if _, err := io.ReadFull(answer.Body, first); err != nil {
			t.Fatal(err)
		}
		close(stopping)
		if rest, err := io.ReadAll(answer.Body); err != nil || len(rest) > 0 {
			t.Errorf("the watch ended with %q, error %v; want a clean end", rest, err)
		}
		await(t, "the backend to be told", left)
	})
}

func await(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("waiting for %s: nothing after 20 s", what)
	}
}

func TestAClientThatGoesAwayReachesTheBackend(t *testing.T) {
	both(t, func(t *testing.T, http2 bool) {
		entered, left := make(chan struct{}), make(chan struct{})
		url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
			close(entered)
			<-r.Context().Done()
			close(left)
		}, nil)
		ctx, cancel := context.WithCancel(context.Background())
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, url+"/apis/example.com/v1/things", nil)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if answer, err := client(http2).Do(r); err == nil {
				answer.Body.Close()
			}
		}()
		await(t, "the request", entered)
		cancel()
		await(t, "the backend to be told", left)
		await(t, "the client", done)
	})
}

func TestBodiesStreamBothWaysAtOnce(t *testing.T) {
	// Only HTTP/2 clients read an answer while they are still sending.
	url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		buffer := make([]byte, 16)
		for {
			n, err := r.Body.Read(buffer)
			if n > 0 {
				_, _ = w.Write(buffer[:n])
				_ = http.NewResponseController(w).Flush()
			}
			if err != nil {
				return
			}
		}
	}, nil)
	reader, writer := io.Pipe()
	r, _ := http.NewRequest(http.MethodPost, url+"/apis/example.com/v1/things/one/proxy", reader)
	answer, err := client(true).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	for _, word := range []string{"ping", "pong"} {
		_, _ = io.WriteString(writer, word)
		got := make([]byte, len(word))
		if _, err := io.ReadFull(answer.Body, got); err != nil || string(got) != word {
			t.Fatalf("echoed %q, error %v; want %q", got, err, word)
		}
	}
	writer.Close()
	if rest, err := io.ReadAll(answer.Body); err != nil || len(rest) > 0 {
		t.Errorf("at the end: %q, error %v", rest, err)
	}
}

func TestTrailersAndInterimAnswersPass(t *testing.T) {
	both(t, func(t *testing.T, http2 bool) {
		url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</style>")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			w.Header().Set("Trailer", "X-Known")
			_, _ = io.WriteString(w, "body")
			w.Header().Set("X-Known", "one")
			w.Header().Set(http.TrailerPrefix+"X-Late", "two")
		}, nil)
		var hints []string
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints = append(hints, fmt.Sprint(code, h["Link"]))
			return nil
		}}
		r, _ := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), http.MethodGet, url+"/x", nil)
		answer, err := client(http2).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if !reflect.DeepEqual(hints, []string{"103 [</style>]"}) {
			t.Errorf("interim answers %v, want 103 with its link", hints)
		}
		if answer.Header.Get("Link") != "" {
			t.Error("the interim answer's header is in the final one")
		}
		if answer.Trailer.Get("X-Known") != "one" || answer.Trailer.Get("X-Late") != "two" {
			t.Errorf("trailer %v, want both", answer.Trailer)
		}
	})
}

func TestOurHeadersAndTheBackendsAreMerged(t *testing.T) {
	cert, roots := certificate(t)
	back := server(t, cert, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Audit-Id", r.Header.Get("Audit-Id"))
		w.Header().Set("Cache-Control", "max-age=3")
		w.Header().Set("Warning", `299 - "theirs"`)
	}))
	h, err := proxy.New(config(newTarget(t, back.Listener.Addr().String(), roots)))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	w.Header().Set("Audit-Id", "audit-1")
	w.Header().Set("Cache-Control", "no-cache, private")
	w.Header().Set("Warning", `299 - "ours"`)
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/apis/example.com/v1/things", nil))
	got := w.Result().Header
	for name, want := range map[string][]string{
		"Audit-Id":      {"audit-1"},
		"Cache-Control": {"max-age=3"},
		"Warning":       {`299 - "ours"`, `299 - "theirs"`},
	} {
		if !reflect.DeepEqual(got[name], want) {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

func TestNewNamesWhatItNeeds(t *testing.T) {
	if _, err := proxy.New(proxy.Config{}); err == nil {
		t.Error("a proxy without a backend was made")
	}
}
