package backend_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/portico-api/portico/aggregator/backend"
	"github.com/portico-api/portico/aggregator/wire"
)

func TestWhatARequestGoesOver(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	for name, c := range map[string]struct {
		speaks              []string
		strict              bool
		short, long, itself string // the protocol, or nothing if it cannot be sent
	}{
		"an API server":                         {[]string{"h2", "http/1.1"}, false, "HTTP/1.1", "HTTP/2.0", "HTTP/1.1"},
		"one without HTTP/2":                    {[]string{"http/1.1"}, false, "HTTP/1.1", "HTTP/1.1", "HTTP/1.1"},
		"one that knows nothing of the choice":  {nil, false, "HTTP/1.1", "HTTP/1.1", "HTTP/1.1"},
		"one with HTTP/2 alone":                 {[]string{"h2"}, true, "HTTP/2.0", "HTTP/2.0", ""},
		"one that seems to have HTTP/2 alone":   {[]string{"h2"}, false, "HTTP/2.0", "HTTP/2.0", ""},
		"one that insists on the choice it has": {[]string{"http/1.1"}, true, "HTTP/1.1", "HTTP/1.1", "HTTP/1.1"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, order := range [][]wire.Need{{short, long, alone}, {long, short, alone}, {alone, long, short}} {
				s := newFickle(t, cert, follow, c.speaks...)
				s.strict.Store(c.strict)
				seen := newRecord()
				tr := newTransport(t, backend.Config{CABundle: roots, Observer: seen}, at(t, s.Server))
				for range 2 {
					for _, need := range order {
						want := map[wire.Need]string{short: c.short, long: c.long, alone: c.itself}[need]
						x, err := begin(t.Context(), tr, need, "/")
						if want == "" {
							if err == nil || !strings.Contains(err.Error(), "HTTP/2 alone") {
								t.Errorf("%+v of %+v: error %v, want one that tells what is missing", need, order, err)
							}
							continue
						}
						if err != nil {
							t.Fatalf("%+v of %+v: %v", need, order, err)
						}
						if x.first != want+" \n" {
							t.Errorf("%+v of %+v goes over %q, want %s", need, order, x.first, want)
						}
						x.done(true)
					}
				}
				if got, err := get(t, tr); err != nil || got != c.short+" \n" {
					t.Errorf("a request of our own goes over %q, error %v", got, err)
				}
				tr.Close()
				eventually(t, "no connection is left", func() bool { return seen.count(addressOf(s.Server), backend.Connections) == 0 })
				for _, what := range []backend.Quantity{backend.InFlight, backend.Failures} {
					if n := seen.count(addressOf(s.Server), what); n != 0 {
						t.Errorf("%d are counted of what is number %d, want none", n, what)
					}
				}
			}
		})
	}
}

func TestAnEndpointThatComesBackAsAnotherIsUsedAsWhatItIs(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	both, old, modern := []string{"h2", "http/1.1"}, []string{"http/1.1"}, []string{"h2"}
	for _, c := range []struct {
		from, to    []string
		short, long string
	}{
		{both, old, "HTTP/1.1", "HTTP/1.1"},
		{both, modern, "HTTP/2.0", "HTTP/2.0"},
		{old, both, "HTTP/1.1", "HTTP/2.0"},
		{old, modern, "HTTP/2.0", "HTTP/2.0"},
		{modern, old, "HTTP/1.1", "HTTP/1.1"},
		{modern, both, "HTTP/2.0", "HTTP/2.0"}, // as long as it is believed that it has nothing else
	} {
		t.Run(fmt.Sprint(c.from, " becomes ", c.to), func(t *testing.T) {
			s := newFickle(t, cert, follow, c.from...)
			s.strict.Store(true)
			tr := newTransport(t, backend.Config{CABundle: roots}, at(t, s.Server))
			for _, need := range []wire.Need{short, long, short, long} {
				mustBegin(t, tr, need, "/").done(true)
			}
			for need, want := range map[wire.Need]string{short: c.short, long: c.long} {
				s.become(c.to...)
				eventually(t, "it goes over "+want, func() bool {
					x, err := begin(t.Context(), tr, need, "/")
					if err != nil {
						return false
					}
					defer x.done(true)
					y, err := begin(t.Context(), tr, need, "/") // for which no connection is left that was made before
					if err != nil {
						return false
					}
					defer y.done(true)
					return y.first == want+" \n"
				})
			}
		})
	}
}

func TestWatchesShareConnections(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	s := newFickle(t, cert, follow, "h2", "http/1.1")
	seen := newRecord()
	tr := newTransport(t, backend.Config{CABundle: roots, Observer: seen}, at(t, s.Server))
	const count = 250
	watches := make(chan *exchangeOver, count)
	for range count {
		go func() {
			x, err := begin(t.Context(), tr, long, watch)
			if err != nil {
				t.Error(err)
			}
			watches <- x
		}()
	}
	var all []*exchangeOver
	for range count {
		if x := <-watches; x != nil {
			all = append(all, x)
		}
	}
	if open, made := s.connections(); open < 3 || made > 6 {
		t.Errorf("%d watches have %d connections of %d that were made, want few", count, open, made)
	}
	if n := seen.count(addressOf(s.Server), backend.InFlight); n != count {
		t.Errorf("%d requests are counted as in flight, want %d", n, count)
	}
	for _, x := range all {
		if !x.lives() {
			t.Fatal("a watch has ended")
		}
		x.done(true)
	}
	tr.Close()
	eventually(t, "no connection is left", func() bool { return seen.count(addressOf(s.Server), backend.Connections) == 0 })
}

func TestAWatchThatIsLeftEndsAtTheBackendAtOnce(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	left := make(chan struct{})
	s := newFickle(t, cert, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "begun")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(left)
	}, "h2", "http/1.1")
	tr := newTransport(t, backend.Config{CABundle: roots}, at(t, s.Server))
	other := mustBegin(t, newTransport(t, backend.Config{CABundle: roots}, at(t, newFickle(t, cert, follow, "h2").Server)), long, watch)
	defer other.done(true)
	ctx, cancel := context.WithCancel(t.Context())
	x, err := begin(ctx, tr, long, watch)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case <-left:
	case <-time.After(20 * time.Second):
		t.Fatal("the backend was not told")
	}
	if x.lives() {
		t.Error("the watch goes on")
	}
	x.done(true)
}

func TestANewCertificateMeansNewConnectionsAndLetsTheOldOnesEnd(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	first, _ := certificate(t, "first")
	second, _ := certificate(t, "second")
	var current atomic.Pointer[tls.Certificate]
	current.Store(first)
	s := newFickle(t, cert, follow, "h2", "http/1.1")
	seen := newRecord()
	tr := newTransport(t, backend.Config{CABundle: roots, Observer: seen, ClientCertificate: func() (*tls.Certificate, error) { return current.Load(), nil }}, at(t, s.Server))
	before := mustBegin(t, tr, long, watch)
	current.Store(second)
	after := mustBegin(t, tr, long, watch)
	if before.first != "HTTP/2.0 first\n" || after.first != "HTTP/2.0 second\n" {
		t.Errorf("the watches were made as %q and %q", before.first, after.first)
	}
	if !before.lives() {
		t.Error("the watch of the former certificate has ended")
	}
	before.done(true)
	eventually(t, "its connection ends with it", func() bool { return seen.count(addressOf(s.Server), backend.Connections) == 1 })
	after.done(true)
}

func TestWatchesOfAnEndpointThatGoesGoOn(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	going, stays := newFickle(t, cert, follow, "h2", "http/1.1"), newFickle(t, cert, follow, "h2", "http/1.1")
	seen := newRecord()
	i := at(t, going.Server)
	tr := newTransport(t, backend.Config{CABundle: roots, Observer: seen}, i)
	x, y := mustBegin(t, tr, long, watch), mustBegin(t, tr, long, watch)
	i.slices = at(t, stays.Server).slices
	for range 5 {
		z := mustBegin(t, tr, long, watch)
		if z.endpoint.Address() != addressOf(stays.Server) {
			t.Error("a watch went to the endpoint that is gone")
		}
		defer z.done(true)
	}
	x.done(true)
	if !y.lives() {
		t.Error("a watch has ended with another on an endpoint that is gone")
	}
	y.done(true)
	eventually(t, "its connection ends with the last", func() bool { return seen.count(addressOf(going.Server), backend.Connections) == 0 })
	// Who had chosen it before it went is answered, on a connection that is not kept.
	open, err := beginAt(t.Context(), x.endpoint, long, watch)
	if err != nil || !open.lives() {
		t.Errorf("a watch on an endpoint that is gone: %v", err)
	}
	open.done(true)
	eventually(t, "nor is that connection kept", func() bool { return seen.count(addressOf(going.Server), backend.Connections) == 0 })
}

// When a connection breaks, all on it do, and that is one failure: the endpoint may well have others.
func TestABrokenConnectionIsOneReasonToLeaveAnEndpointOut(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	one, two := newFickle(t, cert, follow, "h2"), newFickle(t, cert, follow, "h2")
	seen := newRecord()
	tr := newTransport(t, backend.Config{CABundle: roots, Observer: seen}, at(t, one.Server, two.Server))
	var all []*exchangeOver
	for range 20 {
		all = append(all, mustBegin(t, tr, long, watch))
	}
	one.CloseClientConnections()
	broken := 0
	for _, x := range all {
		if x.endpoint.Address() == addressOf(one.Server) {
			broken++
			for x.lives() {
			}
			x.failed = true
		}
		x.done(true)
	}
	if broken < 5 || seen.count(addressOf(one.Server), backend.Failures) != broken {
		t.Errorf("%d watches broke, %d failures are counted", broken, seen.count(addressOf(one.Server), backend.Failures))
	}
	if n := seen.count(addressOf(one.Server), backend.Ejections); n != 0 {
		t.Errorf("the endpoint was left out %d times", n)
	}
}

func TestAWatchThatWaitsForAnEndpointThatHangsIsFreed(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	good, hung := server(t, cert, fine), newMute(t)
	i := at(t, good)
	i.slices = append(i.slices, slice("IPv4", named("https"), int32(hung.port), "127.0.0.1"))
	var hangs atomic.Bool
	real := newFickle(t, cert, func(w http.ResponseWriter, r *http.Request) {
		if hangs.Load() {
			<-r.Context().Done()
			return
		}
		follow(w, r)
	}, "h2", "http/1.1")
	hung.forward.Store(addressOf(real.Server))
	seen := newRecord()
	tr := newTransport(t, backend.Config{CABundle: roots, Observer: seen}, i)
	to := func() (x *exchangeOver) {
		e, err := tr.Pick(nil)
		if err == nil && e.Address() != hung.address {
			e.Done(nil, false, false)
			e, err = tr.Pick(e)
		}
		if err != nil {
			t.Fatal(err)
		}
		x = &exchangeOver{endpoint: e}
		if _, x.stream, err = e.Connect(t.Context(), long); err != nil {
			t.Fatal(err)
		}
		return x
	}
	request := func() *http.Request {
		return &http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "https", Host: "a", Path: "/", RawQuery: "watch=1"}, Header: http.Header{}}
	}
	answered := to()
	if _, _, err := answered.stream.Send(request()); err != nil {
		t.Fatal(err)
	}
	answered.endpoint.Answered(http.StatusOK, time.Millisecond)
	hangs.Store(true)
	waits := to()
	freed := make(chan error, 1)
	go func() {
		_, _, err := waits.stream.Send(request())
		waits.failed = true
		waits.done(false)
		freed <- err
	}()
	hung.forward.Store("")
	eventually(t, "the watch is freed", func() bool {
		if e, _, err := ask(tr, nil); err != nil && e != nil && e.Address() != hung.address {
			t.Fatal(err)
		}
		select {
		case err := <-freed:
			if err == nil || errors.Is(err, context.Canceled) {
				t.Errorf("it ended with %v, want an error that tells why", err)
			}
			return true
		default:
			return false
		}
	})
	if n := seen.count(hung.address, backend.Ejections); n != 1 {
		t.Errorf("the endpoint was left out %d times, want once", n)
	}
	if !answered.lives() {
		t.Error("a watch that has its answer has ended")
	}
	answered.done(true)
}

// An endpoint may be hard to reach, and its clients may lose patience.
func TestNobodyWaitsForAConnectionThatNobodyWants(t *testing.T) {
	hung := newMute(t)
	i := &index{service: service(corev1.ServicePort{Name: "https", Port: 443})}
	i.slices = append(i.slices, slice("IPv4", named("https"), int32(hung.port), "127.0.0.1"))
	seen := newRecord()
	tr := newTransport(t, backend.Config{InsecureSkipTLSVerify: true, Observer: seen}, i)
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for range 20 {
		waiting.Go(func() {
			if _, err := begin(ctx, tr, long, watch); !errors.Is(err, context.Canceled) {
				t.Errorf("the error is %v", err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	cancel()
	waiting.Wait()
	if n := seen.count(hung.address, backend.Failures); n != 0 {
		t.Errorf("%d failures are counted, want none", n)
	}
	// What could not be connected to counts once, however many waited.
	closed := newFickle(t, mustCertificate(t), follow, "h2")
	tr = newTransport(t, backend.Config{InsecureSkipTLSVerify: true, Observer: seen}, at(t, closed.Server))
	closed.Close()
	if _, err := begin(t.Context(), tr, long, watch); err == nil || seen.count(addressOf(closed.Server), backend.Failures) != 1 {
		t.Errorf("error %v, %d failures", err, seen.count(addressOf(closed.Server), backend.Failures))
	}
}

// Clients that do not read make their own watches wait and no other, and fill no memory here.
func TestSlowClientsCostNobodyElse(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	var poured atomic.Int64
	s := newFickle(t, cert, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("pour") == "" {
			follow(w, r)
			return
		}
		for part := make([]byte, 4<<10); ; poured.Add(int64(len(part))) {
			if _, err := w.Write(part); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
		}
	}, "h2", "http/1.1")
	tr := newTransport(t, backend.Config{CABundle: roots}, at(t, s.Server))
	slow := make([]*exchangeOver, wire.MaxStreams-1)
	for i := range slow {
		slow[i] = mustBegin(t, tr, long, "/?watch=1&pour=1")
	}
	before := int64(-1)
	eventually(t, "they are full", func() bool {
		time.Sleep(100 * time.Millisecond)
		now := poured.Load()
		still := now == before
		before = now
		return still
	})
	if most := int64(len(slow)) * (64<<10 + 32<<10 + 8<<10); before > most {
		t.Errorf("%d bytes were taken for clients that do not read, want at most %d", before, most)
	}
	lively := mustBegin(t, tr, long, watch)
	if _, made := s.connections(); made != 1 {
		t.Fatalf("%d connections, want all on one", made)
	}
	for range 50 {
		if !lively.lives() {
			t.Fatal("the watch has ended")
		}
	}
	lively.done(true)
	for _, x := range slow {
		x.done(true)
	}
}
