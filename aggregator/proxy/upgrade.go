package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// relayDeadline bounds the relaying of an answer that refuses an upgrade: the connection is not one
// of the pool's, which look after themselves.
const relayDeadline = 10 * time.Second

// upgradeProtocol returns the protocol that r asks to change to. Only HTTP/1.1 can do that.
func upgradeProtocol(r *http.Request) string {
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 || len(r.Header["Upgrade"]) == 0 {
		return ""
	}
	if !httpguts.HeaderValuesContainsToken(r.Header["Connection"], "Upgrade") {
		return ""
	}
	return r.Header.Get("Upgrade")
}

// upgrade asks the backend for another protocol and, when it agrees, joins the two connections.
func (h *Handler) upgrade(w http.ResponseWriter, r *http.Request, address, protocol string) {
	ctx := r.Context()
	r.Header["Connection"] = []string{"Upgrade"}
	r.Header["Upgrade"] = []string{protocol}

	conn, err := h.cfg.Backend.Dial(ctx, address)
	if err != nil {
		h.fail(w, r, reachError(ctx, err))
		return
	}
	defer conn.Close()
	// A client that goes away or runs out of time while the backend thinks ends the exchange.
	forget := context.AfterFunc(ctx, func() { conn.Close() })
	defer forget()

	out := outgoing(ctx, r, address)
	if err := out.Write(conn); err != nil {
		h.fail(w, r, reachError(ctx, err))
		return
	}
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, out)
	if err != nil {
		h.fail(w, r, reachError(ctx, err))
		return
	}
	defer answer.Body.Close()

	switch {
	case answer.StatusCode == http.StatusSwitchingProtocols && strings.EqualFold(answer.Header.Get("Upgrade"), protocol):
		if forget() {
			h.join(w, r, answer, &upgraded{Conn: conn, reader: reader})
		}
	case answer.StatusCode >= http.StatusBadRequest:
		_ = conn.SetDeadline(time.Now().Add(relayDeadline))
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(relayDeadline))
		h.relay(ctx, w, r, answer)
	default:
		h.fail(w, r, errInvalidUpgrade())
	}
}

// upgraded is a connection whose first bytes may have been read together with the HTTP header.
type upgraded struct {
	net.Conn
	reader *bufio.Reader
}

func (u *upgraded) Read(p []byte) (int, error) { return u.reader.Read(p) }

// join takes the client's connection over, tells it of the change, and copies both ways until
// either side or the server ends.
func (h *Handler) join(w http.ResponseWriter, r *http.Request, answer *http.Response, backend *upgraded) {
	copyUpgradeHeader(w.Header(), answer.Header)
	answer.Header = w.Header()
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		h.fail(w, r, reachError(r.Context(), err))
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Time{}) // the server's deadlines were those of a request
	answer.Body = nil
	if answer.Write(buffered) != nil || buffered.Flush() != nil {
		return
	}

	client := &upgraded{Conn: conn, reader: buffered.Reader}
	ended := make(chan struct{}, 2)
	go h.copyUntilEnd(client, backend, ended)
	go h.copyUntilEnd(backend, client, ended)
	pending := 2
	select {
	case <-ended:
		pending--
	case <-h.cfg.Stopping:
	case <-r.Context().Done():
	}
	// One direction alone is of no use to either protocol: both end.
	conn.Close()
	backend.Close()
	for range pending {
		<-ended
	}
}

// copyUpgradeHeader is copyAnswerHeader for an answer in which Connection and Upgrade are the point.
func copyUpgradeHeader(to, from http.Header) {
	protocol := from["Upgrade"]
	copyAnswerHeader(to, from)
	to["Connection"] = []string{"Upgrade"}
	to["Upgrade"] = protocol
}

func (h *Handler) copyUntilEnd(to, from *upgraded, ended chan<- struct{}) {
	buffer := h.buffers.getLarge()
	defer h.buffers.putLarge(buffer)
	_, _ = io.CopyBuffer(writerOnly{to.Conn}, readerOnly{from}, buffer[:])
	ended <- struct{}{}
}

// writerOnly and readerOnly hide the shortcuts of io.Copy, which would not use our buffer.
type writerOnly struct{ io.Writer }
type readerOnly struct{ io.Reader }
