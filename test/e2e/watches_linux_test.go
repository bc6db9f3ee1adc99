package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// watchers is a number of watches of a group, each of them on its own.
type watchers struct {
	t      *testing.T
	events chan string
	ends   chan error
	cancel context.CancelFunc
}

// watchAll opens watches, and waits until each has told of one object that there is.
func watchAll(t *testing.T, client *http.Client, url string, count int) *watchers {
	t.Helper()
	patient := *client
	patient.Timeout = 0
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	w := &watchers{t: t, events: make(chan string, count), ends: make(chan error, count), cancel: cancel}
	for range count {
		go func() { w.ends <- w.follow(ctx, &patient, url) }()
	}
	w.await(count, "my-first-flunder")
	return w
}

func (w *watchers) follow(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"?watch=true", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("answer %d", response.StatusCode)
	}
	for lines := bufio.NewReader(response.Body); ; {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		w.events <- line
	}
}

// await waits until every watch has told of the object with that name.
func (w *watchers) await(count int, name string) {
	w.t.Helper()
	for late := time.After(patience); count > 0; count-- {
		select {
		case event := <-w.events:
			if !strings.Contains(event, `"name":"`+name+`"`) {
				w.t.Fatalf("a watch tells of %s, want %s", event, name)
			}
		case err := <-w.ends:
			w.t.Fatalf("a watch has ended: %v", err)
		case <-late:
			w.t.Fatalf("%d watches have not told of %s", count, name)
		}
	}
}

// end waits until all watches have ended.
func (w *watchers) end(count int) {
	w.t.Helper()
	for late := time.After(patience); count > 0; count-- {
		select {
		case <-w.ends:
		case <-late:
			w.t.Fatalf("%d watches have not ended", count)
		}
	}
}

// connectionsTo is how many connections a process has to a port of 127.0.0.1.
func connectionsTo(t *testing.T, pid, port int) (count int) {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]bool{}
	for _, link := range links {
		if name, err := os.Readlink(link); err == nil { // it may just have been closed
			own[name] = true
		}
	}
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		const established = "01"
		if len(f) > 9 && f[2] == fmt.Sprintf("0100007F:%04X", port) && f[3] == established && own["socket:["+f[9]+"]"] {
			count++
		}
	}
	return count
}

// Hundreds of watches of an unmodified server are a handful of connections to it. They end when it does, also when it only falls silent, and work again
// as soon as it does.
func TestWatchesOfAServerShareConnections(t *testing.T) {
	t.Parallel()
	p := startPortico(t)
	server := startReplicas(t, p, 1)[0]
	client := p.client(t)
	read := reading(client, p.url+flunders, "my-first-flunder")
	create := func(name string) {
		t.Helper()
		object := `{"apiVersion":"wardle.example.com/v1alpha1","kind":"Flunder","metadata":{"name":"` + name + `"}}`
		if err := exchange(t.Context(), client, http.MethodPost, p.url+flunders, object, http.StatusCreated, name); err != nil {
			t.Fatal(err)
		}
	}
	const count = 350
	before := connectionsTo(t, p.cmd.Process.Pid, server.port)
	watches := watchAll(t, client, p.url+flunders, count)
	if got := connectionsTo(t, p.cmd.Process.Pid, server.port) - before; got < 1 || got > 12 {
		t.Errorf("%d watches are %d connections, want one for a hundred", count, got)
	}
	create("second")
	watches.await(count, "second")
	server.kill()
	watches.end(count)
	server.start(t)
	eventually(t, "the group answers", func() bool { return read(t.Context()) == nil })
	exchangeMust(t, client, http.MethodDelete, p.url+flunders+"/second")

	watches = watchAll(t, client, p.url+flunders, count)
	watches.cancel()
	watches.end(count)
	eventually(t, "nobody counts as watching any more", func() bool { return inFlightTo(t, p, server) < 10 })

	watches = watchAll(t, client, p.url+flunders, 10)
	server.signal(t, syscall.SIGSTOP)
	watches.end(10)
	server.signal(t, syscall.SIGCONT)
	eventually(t, "the group answers", func() bool { return read(t.Context()) == nil })
	watches = watchAll(t, client, p.url+flunders, 10)
	create("third")
	watches.await(10, "third")
}

func exchangeMust(t *testing.T, client *http.Client, method, url string) {
	t.Helper()
	if err := exchange(t.Context(), client, method, url, "", http.StatusOK, ""); err != nil {
		t.Fatal(err)
	}
}

// inFlightTo is how many requests are on their way to a server, the watches of the front door itself included.
func inFlightTo(t *testing.T, p *portico, s *sampleAPIServer) int {
	t.Helper()
	_, page := p.get(t, "/metrics")
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "portico_backend_inflight_requests{") && strings.Contains(line, loopback(s.port)) {
			var n int
			if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &n); err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("the metrics do not tell of the server")
	return 0
}

// A server that has HTTP/2 and nothing else can be used for everything but a change of protocol, for which it is told what is wrong.
func TestAServerOfHTTP2AloneIsUsed(t *testing.T) {
	t.Parallel()
	p := startPortico(t)
	only := newTroublemaker(t, "only")
	only.end()
	only.end = func() {}
	server := &http.Server{Addr: only.address, Handler: http.HandlerFunc(only.answer), ErrorLog: quiet(), Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP2(true)
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{only.right}}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServeTLS("", "") }()
	only.end = func() {
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}
	only.register(p)
	client := p.client(t)
	meter := measure(t, "reads", 4, reading(client, p.url+only.path(), only.everything))
	if out := p.kubectl(t, "get", "things."+only.group, "-o", "name"); strings.TrimSpace(out) != "" {
		t.Errorf("kubectl get says %s", out)
	}
	eventually(t, "it is asked a hundred times", func() bool { return meter.answers() > 100 })
	meter.lostNothing(t)

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+only.path()+"/one/exec", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "websocket")
	old := *client
	transport := client.Transport.(*http.Transport).Clone()
	transport.ForceAttemptHTTP2, transport.TLSClientConfig.NextProtos = false, []string{"http/1.1"}
	old.Transport = transport
	t.Cleanup(transport.CloseIdleConnections)
	response, err := old.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), `"kind":"Status"`) || !strings.Contains(string(body), "HTTP/2 alone") {
		t.Errorf("a change of protocol gets %d %s, want 503 and why", response.StatusCode, body)
	}
}
