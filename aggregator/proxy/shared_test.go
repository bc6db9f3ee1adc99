package proxy_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/portico-api/portico/aggregator/proxy"
	"github.com/portico-api/portico/aggregator/wire"
)

// dyingShared is a backend whose first shared connections die before the request, and which notes what was needed.
type dyingShared struct {
	*target
	tb   testing.TB
	mu   sync.Mutex
	left int
	last wire.Need
}

func (d *dyingShared) Pick(proxy.Endpoint) (proxy.Endpoint, error) { return d, nil }

func (d *dyingShared) Connect(ctx context.Context, need wire.Need) (*wire.Conn, *wire.Stream, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = need
	if d.shared == nil {
		return d.target.Connect(ctx, need)
	}
	d.left--
	if d.left < 0 {
		return d.target.Connect(ctx, need)
	}
	dead := d.share(d.tb)
	s := dead.Begin(ctx, need.Safe)
	dead.Close()
	return nil, s, nil
}

func TestWhatASharedConnectionDidNotTakeIsSentOverAnother(t *testing.T) {
	for name, test := range map[string]struct {
		method, body string
		dead         int
		code         int
		asked        int32
	}{
		"a GET":                  {http.MethodGet, "", 1, 200, 1},
		"a DELETE":               {http.MethodDelete, "", 2, 200, 1},
		"a POST":                 {http.MethodPost, "once", 1, 200, 1},
		"a long POST":            {http.MethodPost, strings.Repeat("x", 1<<20), 2, 200, 1},
		"a POST, once too often": {http.MethodPost, "once", 9, 503, 0},
	} {
		t.Run(name, func(t *testing.T) {
			all(t, func(t *testing.T, http2 bool) {
				if !strings.Contains(t.Name(), overStreams) {
					return
				}
				var asked atomic.Int32
				var d *dyingShared
				url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
					asked.Add(1)
					if body, err := io.ReadAll(r.Body); err != nil || string(body) != test.body {
						t.Errorf("the backend reads %d bytes of %d: %v", len(body), len(test.body), err)
					}
				}, func(cfg *proxy.Config) {
					d = &dyingShared{target: cfg.Backend.(*target), tb: t, left: test.dead}
					cfg.Backend = d
				})
				wantAnswer(t, client(http2), test.method, url+"/apis/example.com/v1/things", test.body, test.code, &asked, test.asked)
				d.target.mu.Lock()
				defer d.target.mu.Unlock()
				if d.blamed != 0 {
					t.Errorf("the endpoint is blamed %d times for what it never got", d.blamed)
				}
			})
		})
	}
}

func TestAStreamThatTheBackendBreaksOffIsNotTakenForWhole(t *testing.T) {
	for name, length := range map[string]string{"with a length": "100", "without": ""} {
		t.Run(name, func(t *testing.T) {
			t.Run(overStreams, func(t *testing.T) {
				both(t, func(t *testing.T, http2 bool) {
					var to *target
					url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
						if length != "" {
							w.Header().Set("Content-Length", length)
						}
						_, _ = io.WriteString(w, "half")
						_ = http.NewResponseController(w).Flush()
						panic(http.ErrAbortHandler)
					}, func(cfg *proxy.Config) { to = cfg.Backend.(*target) })
					answer, err := client(http2).Get(url + "/apis/example.com/v1/things?watch=1")
					if err == nil {
						body, err := io.ReadAll(answer.Body)
						answer.Body.Close()
						if err == nil {
							t.Errorf("the client read %q as a complete answer", body)
						}
					}
					eventually(t, "the endpoint is blamed once", func() bool {
						to.mu.Lock()
						defer to.mu.Unlock()
						return to.blamed == 1
					})
				})
			})
		})
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// What a client did not send whole must not look whole, and a backend that does not read must not keep anything here.
func TestAClientThatLeavesWhileItSendsOverAStream(t *testing.T) {
	for name, reads := range map[string]bool{"and the backend reads": true, "and the backend does not": false} {
		for method, answers := range map[string]bool{"POST": false, "PUT": true} {
			t.Run(method+" "+name, func(t *testing.T) {
				t.Run(overStreams, func(t *testing.T) {
					both(t, func(t *testing.T, http2 bool) {
						if !http2 && !reads {
							return // a server of HTTP/1.1 learns that the client has left from reading what it sends
						}
						begun, left := make(chan struct{}), make(chan struct{})
						var to *target
						url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
							defer close(left)
							if answers {
								w.WriteHeader(http.StatusOK)
								_ = http.NewResponseController(w).Flush()
							}
							close(begun)
							if reads {
								if _, err := io.Copy(io.Discard, r.Body); err == nil {
									t.Error("the backend takes half a body for whole")
								}
							}
							<-r.Context().Done()
						}, func(cfg *proxy.Config) { to = cfg.Backend.(*target) })
						ctx, cancel := context.WithCancel(t.Context())
						reader, writer := io.Pipe()
						r, _ := http.NewRequestWithContext(ctx, method, url+"/apis/example.com/v1/things", reader)
						over := make(chan struct{})
						go func() {
							defer close(over)
							if answer, err := client(http2).Do(r); err == nil {
								_, _ = io.Copy(io.Discard, answer.Body)
								answer.Body.Close()
							}
						}()
						go func() { // more than may be on its way
							for part := make([]byte, 32<<10); ; {
								if _, err := writer.Write(part); err != nil {
									return
								}
							}
						}()
						await(t, "the request", begun)
						time.Sleep(50 * time.Millisecond)
						cancel()
						writer.CloseWithError(errors.New("gone"))
						await(t, "the backend to be told", left)
						await(t, "the client", over)
						to.mu.Lock()
						defer to.mu.Unlock()
						if to.blamed != 0 {
							t.Error("the endpoint is blamed")
						}
					})
				})
			})
		}
	}
}

func TestAnEndpointKnowsWhatARequestNeeds(t *testing.T) {
	var d *dyingShared
	url, client := front(t, func(http.ResponseWriter, *http.Request) {}, func(cfg *proxy.Config) {
		d = &dyingShared{target: cfg.Backend.(*target), tb: t}
		cfg.Backend = d
		cfg.IsLong = cfg.IsWatch
	})
	for _, test := range []struct {
		method, path, body, upgrade string
		want                        wire.Need
	}{
		{"GET", "/x", "", "", wire.Need{Safe: true}},
		{"GET", "/x?watch=1", "", "", wire.Need{Safe: true, Long: true}},
		{"GET", "/x?watch=1", "body", "", wire.Need{Safe: true}},
		{"GET", "/x?watch=1", "", "websocket", wire.Need{Alone: true}},
		{"POST", "/x?watch=1", "", "", wire.Need{}},
	} {
		r, err := http.NewRequestWithContext(t.Context(), test.method, url+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		if test.upgrade != "" {
			r.Header.Set("Connection", "Upgrade")
			r.Header.Set("Upgrade", test.upgrade)
		}
		answer, err := client(false).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		d.mu.Lock()
		if d.last != test.want {
			t.Errorf("%s %s with %q and %q needs %+v, want %+v", test.method, test.path, test.body, test.upgrade, d.last, test.want)
		}
		d.mu.Unlock()
	}
}
