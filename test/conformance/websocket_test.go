package conformance

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/rest"
)

// dial opens a WebSocket, or returns the answer that refuses it.
func (s *server) dial(t *testing.T, path string, header http.Header) (*websocket.Conn, *http.Response) {
	t.Helper()
	config, err := rest.TLSConfigFor(s.config)
	if err != nil {
		t.Fatal(err)
	}
	dialer := websocket.Dialer{TLSClientConfig: config, HandshakeTimeout: patience}
	conn, response, err := dialer.DialContext(t.Context(), "wss"+strings.TrimPrefix(s.url, "https")+path, header)
	if err != nil {
		if response == nil {
			t.Fatalf("dialing %s: %v", path, err)
		}
		return nil, response
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(patience))
	return conn, response
}

func browser(header http.Header) http.Header {
	if header == nil {
		header = http.Header{}
	}
	header.Set("Origin", "https://dashboard.example.com")
	return header
}

func TestAWatchRunsOverWebSocket(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		s.put(t, namespace, "one", "first", `"history":"yes"`)
		for _, path := range []string{maps + historySelector + "&timeoutSeconds=3&allowWatchBookmarks=true", "/api/v1/watch/namespaces/" + namespace + "/configmaps?labelSelector=history&timeoutSeconds=3&allowWatchBookmarks=true"} {
			conn, response := s.dial(t, path, browser(nil))
			if conn == nil {
				t.Fatalf("GET %s: got %d", path, response.StatusCode)
			}
			s.put(t, namespace, "one", time.Now().String(), `"history":"yes"`)
			for _, want := range []string{"ADDED", "MODIFIED", "BOOKMARK"} {
				kind, message, err := conn.ReadMessage()
				if err != nil || kind != websocket.TextMessage {
					t.Fatalf("want a text message %s: got %d, %v", want, kind, err)
				}
				var f struct {
					Type   string            `json:"type"`
					Object metav1.ObjectMeta `json:"object"`
				}
				if err := utiljson.Unmarshal(message, &f); err != nil || f.Type != want {
					t.Errorf("want %s: got %s, %v", want, cut(message), err)
				}
			}
			if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
				t.Errorf("the end: got %v, want a goodbye", err)
			}
		}
	})
}

func TestAWatchOverWebSocketSpeaksProtobufInBinary(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		s.put(t, namespace, "one", "first", `"history":"yes"`)
		conn, response := s.dial(t, collection(namespace, "configmaps")+historySelector, browser(http.Header{"Accept": {mediaProtobuf}}))
		if conn == nil {
			t.Fatalf("got %d", response.StatusCode)
		}
		kind, message, err := conn.ReadMessage()
		var event metav1.WatchEvent
		if err != nil || kind != websocket.BinaryMessage || event.Unmarshal(message) != nil || event.Type != "ADDED" || !strings.HasPrefix(string(event.Object.Raw), "k8s\x00") {
			t.Errorf("got %d %q, %v", kind, message, err)
		}
	})
}

func TestAWebSocketIsRefusedLikeAnyRequest(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		path := collection(namespace, "configmaps") + "?watch=true"
		for _, c := range []struct {
			name, query string
			header      http.Header
			want        int
		}{
			{"no Origin", "", http.Header{}, 403},
			{"two subprotocols", "", browser(http.Header{"Sec-Websocket-Protocol": {"a, b"}}), 400},
			{"a resourceVersion that is none", "&resourceVersion=old", browser(nil), 400},
			{"initial events without a match", "&sendInitialEvents=true", browser(nil), 422},
			{"YAML", "", browser(http.Header{"Accept": {mediaYAML}}), 406},
		} {
			t.Run(c.name, func(t *testing.T) {
				conn, response := s.dial(t, path+c.query, c.header)
				if conn != nil || response.StatusCode != c.want {
					t.Errorf("got %d, want %d", response.StatusCode, c.want)
				}
			})
		}
		conn, response := s.dial(t, path, browser(http.Header{"Sec-Websocket-Protocol": {"one"}}))
		if conn == nil || response.Header.Get("Sec-Websocket-Protocol") != "one" {
			t.Errorf("one subprotocol: got %d %v, want it agreed on", response.StatusCode, response.Header)
		}
	})
}
