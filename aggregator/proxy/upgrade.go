package proxy

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/portico-api/portico/aggregator/wire"
)

// relayDeadline bounds the relaying of an answer that refuses an upgrade.
const relayDeadline = 10 * time.Second

// upgradeProtocol returns the protocol that r asks to change to. Only HTTP/1.1 can do that, and only without a body: a backend
// may ignore the wish, and then it is one of the usual requests.
func upgradeProtocol(r *http.Request) string {
	if len(r.Header["Upgrade"]) == 0 || r.ProtoMajor != 1 || r.ProtoMinor < 1 || r.ContentLength != 0 {
		return ""
	}
	if !httpguts.HeaderValuesContainsToken(r.Header["Connection"], "Upgrade") {
		return ""
	}
	protocol := r.Header.Get("Upgrade")
	if isHTTP(protocol) {
		return ""
	}
	return protocol
}

// isHTTP tells whether a list of protocols has one over which requests are sent. The client would speak to the backend
// itself and could call itself whoever it likes.
func isHTTP(protocols string) bool {
	for protocol := range strings.SplitSeq(protocols, ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(protocol), "/")
		switch strings.ToLower(name) {
		case "h2", "h2c", "h3", "http", "tls":
			return true
		}
	}
	return false
}

// relayUpgrade joins the two connections when the backend agrees to another protocol.
func (p *passage) relayUpgrade(conn *wire.Conn, answer *wire.Answer, forget func() bool) outcome {
	switch {
	case answer.Status == http.StatusSwitchingProtocols && strings.EqualFold(answer.Get("Upgrade"), p.protocol):
		if !forget() {
			return clientGone
		}
		return p.join(conn, answer)
	case answer.Status >= http.StatusBadRequest:
		overdue := time.AfterFunc(relayDeadline, conn.Interrupt)
		defer overdue.Stop()
		_ = http.NewResponseController(p.w).SetWriteDeadline(time.Now().Add(relayDeadline))
		return p.relayAnswer(conn, answer)
	}
	return badUpgrade
}

// upgraded is a connection whose first bytes may have been read together with the HTTP header.
type upgraded struct {
	net.Conn
	reader io.Reader
}

func (u *upgraded) Read(p []byte) (int, error) { return u.reader.Read(p) }

// join takes the client's connection over, tells it of the change, and copies both ways until
// either side or the server ends.
func (p *passage) join(conn *wire.Conn, answer *wire.Answer) outcome {
	header := p.w.Header()
	copyAnswerHeader(header, answer.Header)
	header["Connection"] = []string{"Upgrade"}
	header["Upgrade"] = []string{answer.Get("Upgrade")}
	front, buffered, err := http.NewResponseController(p.w).Hijack()
	if err != nil {
		return badUpgrade
	}
	defer front.Close()
	_ = front.SetDeadline(time.Time{}) // the server's deadlines were those of a request
	_, err = buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	if err == nil {
		err = header.Write(buffered)
	}
	if err == nil {
		_, err = buffered.WriteString("\r\n")
	}
	if err != nil || buffered.Flush() != nil {
		return clientGone
	}

	ahead, back := conn.Detach()
	client := &upgraded{Conn: front, reader: buffered.Reader}
	backend := &upgraded{Conn: back, reader: io.MultiReader(bytes.NewReader(ahead), back)}
	ended := make(chan struct{}, 2)
	go p.h.copyUntilEnd(client, backend, ended)
	go p.h.copyUntilEnd(backend, client, ended)
	pending := 2
	select {
	case <-ended:
		pending--
	case <-p.h.cfg.Stopping.Done():
	case <-p.r.Context().Done():
	}
	// One direction alone is of no use to either protocol: both end.
	front.Close()
	back.Close()
	for range pending {
		<-ended
	}
	return relayed
}

func (h *Handler) copyUntilEnd(to, from *upgraded, ended chan<- struct{}) {
	buffer := h.copies.get()
	defer h.copies.put(buffer)
	_, _ = io.CopyBuffer(writerOnly{to.Conn}, readerOnly{from}, buffer[:])
	ended <- struct{}{}
}

// writerOnly and readerOnly hide the shortcuts of io.Copy, which would not use our buffer.
type writerOnly struct{ io.Writer }
type readerOnly struct{ io.Reader }
