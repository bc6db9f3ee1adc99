package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/util/cert"
)

// troublemaker is an extension API server of one group with one resource, on a port that it keeps through all its moods.
type troublemaker struct {
	t          *testing.T
	group      string // its first part is the name of its service
	address    string
	caFile     string
	right      tls.Certificate
	wrong      tls.Certificate
	end        func()
	everything string // its list
}

// mood is how a troublemaker behaves, where that is not well.
type mood struct {
	name    string
	absent  bool                                         // nobody listens
	foreign func(net.Conn)                               // something else listens
	wrong   bool                                         // its certificate is somebody else's
	answer  func(w http.ResponseWriter, r *http.Request) // instead of the right answer
	answers bool                                         // its answers are right, only late
}

func newTroublemaker(t *testing.T, name string) *troublemaker {
	t.Helper()
	m := &troublemaker{t: t, group: name + ".example.com", caFile: filepath.Join(t.TempDir(), "ca.crt"), end: func() {}}
	m.everything = `{"kind":"ThingList","apiVersion":"` + m.group + `/v1","metadata":{"resourceVersion":"1"},"items":[],"filling":"` + strings.Repeat("x", 4000) + `"}`
	own := name + ".default.svc"
	var text []byte
	m.right, text = selfSigned(t, own)
	m.wrong, _ = selfSigned(t, own)
	if err := os.WriteFile(m.caFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	m.address = loopback(freePort(t))
	m.become(mood{})
	t.Cleanup(func() { m.end() })
	return m
}

func selfSigned(t *testing.T, name string) (tls.Certificate, []byte) {
	t.Helper()
	text, key, err := cert.GenerateSelfSignedCertKey(name, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(text, key)
	if err != nil {
		t.Fatal(err)
	}
	return pair, text
}

// register puts it behind the front door and waits until it is available.
func (m *troublemaker) register(p *portico) {
	m.t.Helper()
	if out, err := p.runs("register", m.group+"/v1", "--backend", "https://"+m.address, "--ca-file", m.caFile, "--wait", "60s"); err != nil {
		m.t.Fatalf("registering %s: %v %s", m.group, err, out)
	}
}

func (m *troublemaker) path() string { return "/apis/" + m.group + "/v1/things" }

// become restarts it in another mood: every connection to it ends.
func (m *troublemaker) become(now mood) {
	m.t.Helper()
	m.end()
	m.end = func() {}
	if now.absent {
		return
	}
	var listener net.Listener
	eventually(m.t, "its port is free again", func() (free bool) {
		var err error
		listener, err = net.Listen("tcp", m.address)
		return err == nil
	})
	if now.foreign != nil {
		m.end = serveForeign(listener, now.foreign)
		return
	}
	own := m.right
	if now.wrong {
		own = m.wrong
	}
	if now.answer == nil {
		now.answer = m.answer
	}
	server := &http.Server{Handler: http.HandlerFunc(now.answer), TLSConfig: &tls.Config{Certificates: []tls.Certificate{own}}, ErrorLog: quiet()}
	ended := make(chan error, 1)
	go func() { ended <- server.ServeTLS(listener, "", "") }()
	m.end = func() {
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			m.t.Errorf("%s: %v", m.group, err)
		}
	}
}

// answer is what it says when it is well: the document of its group, and its only resource.
func (m *troublemaker) answer(w http.ResponseWriter, r *http.Request) {
	body := ""
	switch r.URL.Path {
	case "/apis/" + m.group + "/v1":
		body = fmt.Sprintf(`{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"%s/v1","resources":[`+
			`{"name":"things","singularName":"thing","namespaced":false,"kind":"Thing","verbs":["get","list"]}]}`, m.group)
	case m.path():
		body = m.everything
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, body)
}

// serveForeign has who connects talk to something that is no API server.
func serveForeign(listener net.Listener, talk func(net.Conn)) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { conn.Close() })
			go func() {
				defer conn.Close()
				talk(conn)
			}()
		}
	}()
	return func() {
		listener.Close()
		cancel()
		<-ended
	}
}

// moods are all that a server has been seen in.
func (m *troublemaker) moods() []mood {
	raw := func(text string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { breakOff(w, text) }
	}
	half := m.everything[:len(m.everything)/2]
	return []mood{
		{name: "killed", absent: true},
		{name: "slow", answers: true, answer: func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(time.Second):
				m.answer(w, r)
			case <-r.Context().Done():
			}
		}},
		{name: "hanging", answer: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{name: "hanging in the handshake", foreign: func(c net.Conn) { io.Copy(io.Discard, c) }},
		{name: "resetting before the answer", answer: raw("")},
		{name: "resetting within the head", answer: raw("HTTP/1.1 200 OK\r\nContent-Type: applic")},
		{name: "resetting within the body", answer: raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(m.everything), half))},
		{name: "resetting within a chunk", answer: raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s", len(m.everything), half))},
		{name: "answering garbage", answer: raw("\x00\x01\x02 this is not what you are looking for\r\n\r\n")},
		{name: "answering with errors", answer: func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "out of order", http.StatusInternalServerError)
		}},
		{name: "redirecting", answer: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example.com/", http.StatusFound)
		}},
		{name: "with a wrong certificate", wrong: true},
		{name: "replaced by something that does not speak TLS", foreign: func(c net.Conn) { io.WriteString(c, "220 mail.example.com ESMTP\r\n") }},
		{name: "replaced by another API server without its group", answer: http.NotFound},
	}
}

// breakOff writes to the connection and resets it.
func breakOff(w http.ResponseWriter, text string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	io.WriteString(conn, text)
	if secure, ok := conn.(*tls.Conn); ok {
		if raw, ok := secure.NetConn().(*net.TCPConn); ok {
			raw.SetLinger(0)
			raw.Close()
		}
	}
}
