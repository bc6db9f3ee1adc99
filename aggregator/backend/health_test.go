package backend_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/portico-api/portico/aggregator/backend"
	"github.com/portico-api/portico/aggregator/wire"
)

// record is an observer that counts.
type record struct {
	mu     sync.Mutex
	counts map[string]map[backend.Quantity]int
	gone   map[string]bool
}

func newRecord() *record {
	return &record{counts: map[string]map[backend.Quantity]int{}, gone: map[string]bool{}}
}

func (r *record) Meet(address string) backend.Witness {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts[address] == nil {
		r.counts[address] = map[backend.Quantity]int{}
	}
	return &recorder{r, address}
}

func (r *record) count(address string, what backend.Quantity) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[address][what]
}

type recorder struct {
	*record
	address string
}

func (r *recorder) Answered(int, time.Duration) {}

func (r *recorder) Count(what backend.Quantity, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[r.address][what] += n
}

func (r *recorder) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone[r.address] = true
}

// ask sends one request the way the proxy does, and reads its answer.
func ask(tr *backend.Transport, not *backend.Endpoint) (chosen *backend.Endpoint, code int, err error) {
	e, err := tr.Pick(not)
	if err != nil {
		return nil, 0, err
	}
	c, _, err := e.Connect(context.Background(), wire.Need{Safe: true})
	if err != nil {
		e.Done(nil, false, false)
		return e, 0, err
	}
	code, err = exchange(c)
	if err != nil {
		e.Done(c, false, true)
		return e, 0, err
	}
	e.Answered(code, time.Millisecond)
	e.Done(c, true, false)
	return e, code, nil
}

func exchange(c *wire.Conn) (code int, err error) {
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		return 0, err
	}
	answer, err := c.Receive(http.MethodGet, nil)
	if err != nil {
		return 0, err
	}
	code = answer.Status
	for err == nil {
		_, err = c.Next()
	}
	if err != io.EOF {
		return 0, err
	}
	return code, nil
}

func addressOf(s *httptest.Server) string { return s.Listener.Addr().String() }

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func fine(http.ResponseWriter, *http.Request) {}

func TestAnEndpointThatFailsIsLeftOutUntilItIsBack(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	var broken atomic.Bool
	broken.Store(true)
	good := server(t, cert, fine)
	bad := server(t, cert, func(w http.ResponseWriter, r *http.Request) {
		if !broken.Load() {
			return
		}
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			conn.Close()
		}
	})
	seen := newRecord()
	tr := newTransport(t, backend.Config{CABundle: roots, Observer: seen}, at(t, good, bad))
	eventually(t, "the bad one is left out", func() bool {
		_, _, _ = ask(tr, nil)
		return seen.count(addressOf(bad), backend.Ejections) > 0
	})
	if n := tr.Usable(); n != 1 {
		t.Errorf("%d endpoints are usable, want the good one", n)
	}
	broken.Store(false)
	eventually(t, "it is asked again when it is well", func() bool {
		e, code, err := ask(tr, nil)
		return err == nil && code == http.StatusOK && e.Address() == addressOf(bad)
	})
	if n := seen.count(addressOf(good), backend.Ejections); n != 0 {
		t.Errorf("the good one was left out %d times", n)
	}
	eventually(t, "it is not shown as left out any more", func() bool { return seen.count(addressOf(bad), backend.LeftOut) == 0 })
}

// One that was restarted listens before it knows whom to believe: until it says that it is ready, the others are asked.
func TestAnEndpointIsNotAskedBeforeItIsReady(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	var broken, ready atomic.Bool
	broken.Store(true)
	good := server(t, cert, fine)
	bad := server(t, cert, func(w http.ResponseWriter, r *http.Request) {
		if !broken.Load() {
			return
		}
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			conn.Close()
		}
	})
	var looks atomic.Int32
	seen := newRecord()
	tr := newTransport(t, backend.Config{CABundle: roots, Observer: seen, Ready: func(_ context.Context, address string) error {
		if looks.Add(1); address != addressOf(bad) || !ready.Load() {
			return errors.New("not yet")
		}
		return nil
	}}, at(t, good, bad))
	eventually(t, "the bad one is left out", func() bool {
		_, _, _ = ask(tr, nil)
		return seen.count(addressOf(bad), backend.LeftOut) == 1
	})
	broken.Store(false)
	before := looks.Load()
	eventually(t, "it has been looked at", func() bool { return looks.Load() > before+1 })
	for range 50 {
		if e, _, err := ask(tr, nil); err != nil || e.Address() != addressOf(good) {
			t.Fatalf("a request went to one that is not ready, or failed: %v", err)
		}
	}
	ready.Store(true)
	eventually(t, "it is asked again", func() bool {
		e, code, err := ask(tr, nil)
		return err == nil && code == http.StatusOK && e.Address() == addressOf(bad)
	})
	if n := seen.count(addressOf(bad), backend.LeftOut); n != 0 {
		t.Errorf("it counts as left out: %d", n)
	}
}

// One that joins others is asked when it says that it is ready; one that is there alone, or takes the place of all, at once.
func TestAnEndpointThatJoinsIsNotAskedBeforeItIsReady(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	old, joining := server(t, cert, fine), server(t, cert, fine)
	var ready atomic.Bool
	seen := newRecord()
	i := at(t, old)
	tr := newTransport(t, backend.Config{CABundle: roots, Observer: seen, Ready: func(context.Context, string) error {
		if !ready.Load() {
			return errors.New("not yet")
		}
		return nil
	}}, i)
	only := func(want *httptest.Server) {
		t.Helper()
		for range 50 {
			if e, _, err := ask(tr, nil); err != nil || e.Address() != addressOf(want) {
				t.Fatalf("a request went to another one, or failed: %v", err)
			}
		}
	}
	only(old)
	i.slices = at(t, old, joining).slices
	only(old)
	if n := seen.count(addressOf(joining), backend.LeftOut); n != 1 {
		t.Errorf("it is left out %d times", n)
	}
	ready.Store(true)
	eventually(t, "the new one is asked", func() bool {
		e, _, err := ask(tr, nil)
		return err == nil && e.Address() == addressOf(joining)
	})
	ready.Store(false)
	i.slices = at(t, server(t, cert, fine)).slices
	if _, code, err := ask(tr, nil); err != nil || code != http.StatusOK {
		t.Errorf("one that took the place of all: %d, %v", code, err)
	}
}

func TestTheLastEndpointIsNeverLeftOut(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	seen := newRecord()
	s := server(t, cert, fine)
	i := at(t, s)
	address := addressOf(s)
	s.Close()
	var doubts atomic.Int32
	tr := newTransport(t, backend.Config{CABundle: roots, Observer: seen, Doubted: func() { doubts.Add(1) }}, i)
	for range 20 {
		if e, _, err := ask(tr, nil); err == nil || e == nil || e.Address() != address {
			t.Fatalf("a request to a closed port: endpoint %v, error %v", e, err)
		}
	}
	if n := seen.count(address, backend.Ejections); n != 0 {
		t.Errorf("the only endpoint was left out %d times", n)
	}
	if n := tr.Usable(); n != 1 {
		t.Errorf("%d endpoints are usable, want the only one", n)
	}
	eventually(t, "a doubt", func() bool { return doubts.Load() > 0 })
	if n := doubts.Load(); n != 1 {
		t.Errorf("%d doubts of one failure, want one", n)
	}
}

func TestAnEndpointThatHangsIsLeftOutAndWhatWaitsIsFreed(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	good, hung := server(t, cert, fine), newMute(t)
	i := at(t, good)
	i.slices = append(i.slices, slice("IPv4", named("https"), int32(hung.port), "127.0.0.1"))
	// One request gets through the handshake before the process stops, as it were.
	real := server(t, cert, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	hung.forward.Store(addressOf(real))
	seen := newRecord()
	tr := newTransport(t, backend.Config{CABundle: roots, Observer: seen}, i)

	freed := make(chan error, 1)
	eventually(t, "a request goes to the one that will hang", func() bool {
		e, err := tr.Pick(nil)
		if err != nil {
			t.Fatal(err)
		}
		if e.Address() != hung.address {
			e.Done(nil, false, false)
			return false
		}
		c, _, err := e.Connect(t.Context(), wire.Need{Safe: true})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := exchange(c)
			e.Done(c, false, true)
			freed <- err
		}()
		return true
	})
	hung.forward.Store("")
	eventually(t, "the request is freed", func() bool {
		e, _, err := ask(tr, nil)
		if err != nil && e != nil && e.Address() != hung.address {
			t.Fatal(err)
		}
		select {
		case err := <-freed:
			if err == nil {
				t.Error("it was answered")
			}
			return true
		default:
			return false
		}
	})
	if n := seen.count(hung.address, backend.Ejections); n != 1 {
		t.Errorf("the hung endpoint was left out %d times, want once", n)
	}
	if n := seen.count(hung.address, backend.LeftOut); n != 1 {
		t.Errorf("the endpoint still hangs, and is shown as left out %d times", n)
	}
	tr.Close()
	if n := seen.count(hung.address, backend.LeftOut); n != 0 {
		t.Errorf("nobody probes the endpoint any more, and it is shown as left out %d times", n)
	}
}

// mute accepts connections and passes them on, or says nothing, as a stopped process does.
type mute struct {
	address string
	port    int
	forward atomic.Value // address, or ""
}

func newMute(t *testing.T) *mute {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mute{address: ln.Addr().String(), port: ln.Addr().(*net.TCPAddr).Port}
	m.forward.Store("")
	var running sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			to := m.forward.Load().(string)
			if to == "" {
				continue
			}
			back, err := net.Dial("tcp", to)
			if err != nil {
				continue
			}
			mu.Lock()
			open = append(open, back)
			mu.Unlock()
			running.Go(func() {
				_, _ = io.Copy(back, c)
				back.Close() // the server behind learns that the client has gone
			})
			running.Go(func() { _, _ = io.Copy(c, back) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return m
}

func TestARetryGoesElsewhere(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	tr := newTransport(t, backend.Config{CABundle: roots}, at(t, server(t, cert, fine), server(t, cert, fine)))
	for range 50 {
		first, _, err := ask(tr, nil)
		if err != nil {
			t.Fatal(err)
		}
		second, _, err := ask(tr, first)
		if err != nil || second == first {
			t.Fatalf("a retry went to %v, error %v; the request had failed at %v", second, err, first)
		}
	}
}

func TestRetriesAreBounded(t *testing.T) {
	tr := newTransport(t, backend.Config{InsecureSkipTLSVerify: true}, &index{})
	granted := 0
	for granted < 10_000 && tr.MayRetry() {
		granted++
	}
	if granted == 0 || granted == 10_000 {
		t.Errorf("%d retries are granted for no requests, want some and an end", granted)
	}
}

func TestAnEndpointThatGoesIsDrained(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	entered, release := make(chan struct{}), make(chan struct{})
	going := server(t, cert, func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		w.WriteHeader(http.StatusTeapot)
	})
	stays := server(t, cert, fine)
	seen := newRecord()
	i := at(t, going)
	tr := newTransport(t, backend.Config{CABundle: roots, Observer: seen}, i)
	done := make(chan error, 1)
	go func() {
		_, code, err := ask(tr, nil)
		if err == nil && code != http.StatusTeapot {
			err = errors.New(http.StatusText(code))
		}
		done <- err
	}()
	<-entered
	i.slices = at(t, stays).slices
	for range 10 {
		if e, _, err := ask(tr, nil); err != nil || e.Address() != addressOf(stays) {
			t.Fatalf("a request went to %v, error %v; want the endpoint that stays", e, err)
		}
	}
	close(release)
	if err := <-done; err != nil {
		t.Errorf("what was on its way: %v, want its answer", err)
	}
	if n := seen.count(addressOf(going), backend.Connections); n != 0 {
		t.Errorf("%d connections are left to an endpoint that is gone", n)
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if !seen.gone[addressOf(going)] {
		t.Error("the observer was not told that it is gone")
	}
}

func TestAnIdleConnectionThatTheBackendClosedIsNotUsed(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	for name, spoil := range map[string]func(s *httptest.Server){
		"closed": func(s *httptest.Server) { s.CloseClientConnections() },
	} {
		t.Run(name, func(t *testing.T) {
			s := server(t, cert, fine)
			seen := newRecord()
			tr := newTransport(t, backend.Config{CABundle: roots, Observer: seen}, at(t, s))
			for range 20 {
				if _, _, err := ask(tr, nil); err != nil {
					t.Fatal(err)
				}
				spoil(s)
			}
			if n := seen.count(addressOf(s), backend.Failures); n != 0 {
				t.Errorf("%d failures, want none", n)
			}
		})
	}
}

func TestAConnectionIsUsedAgain(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	var made atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(fine))
	s.TLS = server(t, cert, fine).TLS.Clone()
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			made.Add(1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	tr := newTransport(t, backend.Config{CABundle: roots}, at(t, s))
	for range 50 {
		if _, code, err := ask(tr, nil); err != nil || code != http.StatusOK {
			t.Fatalf("answer %d, error %v", code, err)
		}
	}
	if n := made.Load(); n != 1 {
		t.Errorf("%d connections for 50 requests one after the other, want 1", n)
	}
}

func TestAServiceWithoutReadyEndpointsUsesThoseThatStillServe(t *testing.T) {
	yes, no := true, false
	i := &index{service: service(corev1.ServicePort{Name: "https", Port: 443})}
	s := slice("IPv4", named("https"), 1, "10.0.0.1", "10.0.0.2")
	s.Endpoints[0].Conditions.Ready, s.Endpoints[0].Conditions.Serving, s.Endpoints[0].Conditions.Terminating = &no, &yes, &yes
	s.Endpoints[1].Conditions.Ready, s.Endpoints[1].Conditions.Serving, s.Endpoints[1].Conditions.Terminating = &no, &no, &yes
	i.slices = append(i.slices, s)
	got, err := backend.NewResolver(i, "").Resolve(reference)
	if err != nil || len(got) != 1 || got[0] != "10.0.0.1:1" {
		t.Errorf("resolved to %v, error %v; want the one that still serves", got, err)
	}
}
