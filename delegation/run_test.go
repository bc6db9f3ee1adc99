package delegation_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/serving"
)

// record is what happened, in order.
type record struct {
	mu     sync.Mutex
	events []string
}

func (r *record) add(event string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event)
}

// staticCertificate is a serving certificate that does not change.
type staticCertificate tls.Certificate

func (c *staticCertificate) Current() *tls.Certificate { return (*tls.Certificate)(c) }

// listen makes config serve on a loopback port, and returns its address and a client that trusts it.
func listen(t *testing.T, config *delegation.Config, http2 bool) (address string, client *http.Client) {
	t.Helper()
	model := httptest.NewUnstartedServer(nil)
	model.EnableHTTP2 = http2
	model.StartTLS()
	certificate := staticCertificate(model.TLS.Certificates[0])
	client = model.Client()
	model.Close()

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config.Serving = &serving.SecureServingInfo{Listener: ln, Cert: &certificate}
	t.Cleanup(client.CloseIdleConnections)
	return "https://" + ln.Addr().String(), client
}

func passed(s *delegation.Signal) bool {
	select {
	case <-s.Signaled():
		return true
	default:
		return false
	}
}

// TestEndIsInOrder holds the chain at each point of its end and looks at what is true there.
func TestEndIsInOrder(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP/2=%t", http2), func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			testEnd(t, http2)
		})
	}
}

func testEnd(t *testing.T, http2 bool) {
	var happened record
	config := openConfig()
	address, client := listen(t, config, http2)
	defer client.CloseIdleConnections()
	lifecycle := config.Lifecycle

	get := func(path string) (int, string) {
		resp, err := client.Get(address + path)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Errorf("GET %s: the answer broke off: %v", path, err)
		}
		return resp.StatusCode, string(body)
	}
	mustDestroy := func(unit *delegation.GenericAPIServer, what string) {
		if err := unit.AddDestroyFunc(what, func() error { happened.add("destroyed " + what); return nil }); err != nil {
			t.Fatal(err)
		}
	}

	core := newUnit(t, config, "core", delegation.NewEmptyDelegate())
	mustDestroy(core, "store")
	requestStarted, releaseRequest := make(chan struct{}), make(chan struct{})
	core.Handler.NonGoRestfulMux.Handle("/slow", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(requestStarted)
		<-releaseRequest
		happened.add("request answered")
		io.WriteString(w, "slow")
	}))
	watchStarted := make(chan struct{})
	core.Handler.NonGoRestfulMux.Handle("/api/v1/configmaps", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		io.WriteString(w, "event\n")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Errorf("flushing a watch: %v", err)
		}
		close(watchStarted)
		<-lifecycle.WatchesTerminating.Signaled()
		if !passed(lifecycle.InFlightRequestsDrained) {
			t.Error("watches were told to end before the requests in flight were answered")
		}
		happened.add("watch ended")
	}))

	front := newUnit(t, config, "front", core)
	mustDestroy(front, "proxies")
	err := front.AddController("controller", func(ctx context.Context, started func()) error {
		started()
		<-ctx.Done()
		if !passed(lifecycle.HTTPServerStopped) {
			t.Error("controllers were ended before the server had stopped")
		}
		happened.add("controller ended")
		return ctx.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	hookStarted, releaseHook := make(chan struct{}), make(chan struct{})
	err = front.AddPreShutdownHook("withdraw", func(context.Context) error {
		close(hookStarted)
		<-releaseHook
		happened.add("hook ran")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	ctx, stop := context.WithCancel(t.Context())
	running, err := front.PrepareRun().NonBlockingRun(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	clients.Go(func() {
		if code, body := get("/slow"); code != http.StatusOK || body != "slow" {
			t.Errorf("request in flight: got %d %q, want 200", code, body)
		}
	})
	clients.Go(func() {
		if code, body := get("/api/v1/configmaps?watch=1"); code != http.StatusOK || body != "event\n" {
			t.Errorf("watch: got %d %q, want one event and a clean end", code, body)
		}
	})
	<-requestStarted
	<-watchStarted

	stop()
	<-hookStarted
	if code, body := get("/readyz"); code != http.StatusInternalServerError || !strings.Contains(body, "[-]shutdown failed") {
		t.Errorf("readyz during the pre-shutdown hooks: got %d %q, want the shutdown check to fail", code, body)
	}
	for _, path := range []string{"/livez", "/healthz", "/version"} {
		if code, body := get(path); code != http.StatusOK {
			t.Errorf("%s during the pre-shutdown hooks: got %d %q, want 200", path, code, body)
		}
	}
	close(releaseHook)

	<-lifecycle.NotAcceptingNewRequest.Signaled()
	if passed(lifecycle.InFlightRequestsDrained) || passed(lifecycle.WatchesTerminating) {
		t.Error("the drain was over while a request was in flight")
	}
	w := request(front.Handler, http.MethodGet, "/version")
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" {
		t.Errorf("new request on an open connection: got %d, Retry-After %q, want 503 and 1", w.Code, w.Header().Get("Retry-After"))
	}
	close(releaseRequest)
	clients.Wait()

	if err := running.Wait(); err != nil {
		t.Errorf("Run: got %v, want no error", err)
	}
	want := []string{"hook ran", "request answered", "watch ended", "controller ended", "destroyed proxies", "destroyed store"}
	if !slices.Equal(happened.events, want) {
		t.Errorf("order of events\n got %q\nwant %q", happened.events, want)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(address, "https://")); err == nil {
		conn.Close()
		t.Error("the port still accepts connections")
	}
}

func TestShutdownTimeline(t *testing.T) {
	for name, tc := range map[string]struct {
		delay, hook, request time.Duration
		wantRefusing         time.Duration
		wantWatches          time.Duration
		wantEnd              time.Duration
	}{
		"nothing to wait for":                            {0, 0, 0, 0, 0, 0},
		"the delay":                                      {70 * time.Second, 0, 0, 70 * time.Second, 70 * time.Second, 70 * time.Second},
		"hooks run during the delay":                     {20 * time.Second, 15 * time.Second, 0, 20 * time.Second, 20 * time.Second, 20 * time.Second},
		"hooks may take longer than the delay":           {20 * time.Second, 30 * time.Second, 0, 30 * time.Second, 30 * time.Second, 30 * time.Second},
		"watches end after a short request":              {0, 0, 5 * time.Second, 0, 5 * time.Second, 5 * time.Second},
		"watches do not wait long for a slow request":    {0, 0, 40 * time.Second, 0, 10 * time.Second, 40 * time.Second},
		"no request is waited for beyond its time limit": {0, 0, time.Hour, 0, 10 * time.Second, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config := with(func(c *delegation.Config) { c.ShutdownDelayDuration = tc.delay })
				unit := newUnit(t, config, "front", delegation.NewEmptyDelegate())
				err := unit.AddPreShutdownHook("slow", func(context.Context) error { time.Sleep(tc.hook); return nil })
				if err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				running, err := unit.PrepareRun().NonBlockingRun(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if err := config.HandlerChainWaitGroup.Add(); err != nil {
					t.Fatal(err)
				}

				start := time.Now()
				stop()
				after := func(what string, s <-chan struct{}, want time.Duration) {
					<-s
					if got := time.Since(start); got != want {
						t.Errorf("%s after %s, want %s", what, got, want)
					}
				}
				var client sync.WaitGroup
				defer client.Wait()
				client.Go(func() {
					time.Sleep(max(tc.delay, tc.hook) + tc.request)
					config.HandlerChainWaitGroup.Done()
				})
				after("readyz fails", config.Lifecycle.ShutdownInitiated.Signaled(), 0)
				after("requests are refused", config.Lifecycle.NotAcceptingNewRequest.Signaled(), tc.wantRefusing)
				after("watches are told", config.Lifecycle.WatchesTerminating.Signaled(), tc.wantWatches)
				after("the end is", running.Ended(), tc.wantEnd)
				if err := running.Wait(); err != nil {
					t.Errorf("Run: got %v, want no error", err)
				}
			})
		})
	}
}

func TestEndDoesNotWaitForEverForAHookThatDoesNotListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unit := newUnit(t, openConfig(), "front", delegation.NewEmptyDelegate())
		release := make(chan struct{})
		defer close(release)
		closeErr := errors.New("disk full")
		err := errors.Join(
			unit.AddPostStartHook("deaf", func(context.Context) error { <-release; return nil }),
			unit.AddPreShutdownHook("lease", func(context.Context) error { return errors.New("no lease") }),
			unit.AddDestroyFunc("store", func() error { return closeErr }),
		)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		err = unit.PrepareRun().Run(ctx)
		if !errors.Is(err, closeErr) {
			t.Errorf("Run: got %v, want it to tell that destroying failed", err)
		}
		for _, want := range []string{"have not ended", `pre-shutdown hook "lease"`, "destroying store"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("Run: got %v, want it to tell %q", err, want)
			}
		}
	})
}

func TestRunFailsWhenItCannotServe(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	destroyed := false
	unit := newUnit(t, with(func(c *delegation.Config) { c.Serving = &serving.SecureServingInfo{} }), "front", delegation.NewEmptyDelegate())
	if err := unit.AddDestroyFunc("store", func() error { destroyed = true; return nil }); err != nil {
		t.Fatal(err)
	}
	err := unit.PrepareRun().Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "starting front") {
		t.Errorf("Run without a listener: got %v, want an error", err)
	}
	if !destroyed {
		t.Error("the store was not destroyed")
	}
}

func TestRunEndsWhenItsListenerDoes(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	config := openConfig()
	listen(t, config, true)
	unit := newUnit(t, config, "front", delegation.NewEmptyDelegate())
	running, err := unit.PrepareRun().NonBlockingRun(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	config.Serving.Listener.Close()
	if err := running.Wait(); err == nil || !strings.Contains(err.Error(), "listener") {
		t.Errorf("Run: got %v, want it to tell about the listener", err)
	}
}

func TestEmptyDelegateRunsUntilItIsTold(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	running, err := delegation.NewEmptyDelegate().PrepareRun().NonBlockingRun(ctx)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if err := running.Wait(); err != nil {
		t.Errorf("Run: got %v, want no error", err)
	}
}
