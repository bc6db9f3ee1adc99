package rest

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/handler"
)

// socketPatience is how long a client may take for one message. It bounds what a client that reads no
// more can keep open: nobody but its handler knows a connection that was taken over.
const socketPatience = 30 * time.Second

// socketHandshake is what a client must say before its watch is begun (contract, section 7.7).
func socketHandshake(r *http.Request) error {
	if r.Header.Get("Origin") == "" {
		return &apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden,
			Message: "a WebSocket request must say its Origin",
		}}
	}
	if len(websocket.Subprotocols(r)) > 1 || len(r.Header["Sec-Websocket-Protocol"]) > 1 {
		return apierrors.NewBadRequest("a watch over WebSocket takes at most one subprotocol")
	}
	return nil
}

// socket sends each frame of a watch as one message: text in JSON, binary in protobuf.
type socket struct {
	conn   *websocket.Conn
	binary bool
}

// openSocket takes the connection over. When that is not possible, the client has been answered.
func openSocket(w http.ResponseWriter, r *http.Request, binary bool) (*socket, error) {
	upgrader := websocket.Upgrader{
		Subprotocols: websocket.Subprotocols(r), // whatever the one is that it asks for
		CheckOrigin:  func(*http.Request) bool { return true },
		Error: func(w http.ResponseWriter, r *http.Request, code int, reason error) {
			handler.WriteError(w, r, &apierrors.StatusError{ErrStatus: metav1.Status{
				Status: metav1.StatusFailure, Code: int32(code), Reason: metav1.StatusReasonBadRequest,
				Message: strings.TrimPrefix(reason.Error(), "websocket: "),
			}})
		},
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	return &socket{conn: conn, binary: binary}, nil
}

// listen ends the watch when the client goes. What a client sends is nobody's business, but it must be
// read: pings and the goodbye are among it.
func (s *socket) listen(cancel context.CancelFunc) {
	defer cancel()
	for {
		if _, _, err := s.conn.NextReader(); err != nil {
			return
		}
	}
}

// WriteFrame implements frameSink. A message knows its length, so that of a protobuf frame is left out.
func (s *socket) WriteFrame(frame []byte) error {
	s.conn.SetWriteDeadline(time.Now().Add(socketPatience))
	if s.binary {
		return s.conn.WriteMessage(websocket.BinaryMessage, frame[frameLength:])
	}
	return s.conn.WriteMessage(websocket.TextMessage, frame)
}

// Flush implements frameSink: every message has been sent already.
func (s *socket) Flush() error { return nil }

// close says goodbye and ends the connection, and with it listen.
func (s *socket) close() {
	goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	s.conn.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(time.Second))
	s.conn.Close()
}
