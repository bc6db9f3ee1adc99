package serving_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/portico-api/portico/serving"
)

var framings = []struct {
	name    string
	data    string
	refused bool
}{
	{"a request without a body passes", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", false},
	{"a body with a length passes", "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n", false},
	{"a chunked body passes", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\nGET / HTTP/1.1\r\n\r\n", false},
	{"a body that looks like a bad head passes", "POST / HTTP/1.1\r\nContent-Length: 46\r\n\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", false},
	{"the same length twice passes", "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", false},
	{"a long header line passes", "GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 5000) + "\r\n\r\n", false},
	{"a length and a chunked body are refused", "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
	{"in the other order too", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", true},
	{"and in lower case", "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n", true},
	{"and with bare line feeds", "POST / HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 4\n\n0\n\n", true},
	{"and behind a good request", "GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", true},
	{"and behind a body", "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\naPOST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", true},
	{"two lengths are refused", "POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n", true},
	{"two codings are refused", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", true},
	{"a negative length is refused", "POST / HTTP/1.1\r\nContent-Length: -4\r\n\r\n", true},
	{"a folded line is refused", "POST / HTTP/1.1\r\nX: a\r\n Content-Length: 4\r\n\r\n", true},
	{"a folded trailer is refused", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: v\r\n \r\nGET / HTTP/1.1\r\n\r\n", true},
	{"a chunked body in HTTP/1.0 is refused", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", true},
	{"also when the request line is long", "POST /" + strings.Repeat("a", 500) + " HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", true},
	{"a bad chunk size is refused", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", true},
}

func TestARequestHasOneLength(t *testing.T) {
	for _, c := range framings {
		t.Run(c.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 7, 64, 4096, 1 << 20} {
				if got := serving.RefusesFraming([]byte(c.data), size); got != c.refused {
					t.Errorf("read in parts of %d: refused = %v, want %v: %q", size, got, c.refused, c.data)
				}
			}
		})
	}
}

// FuzzFraming holds the check against net/http itself: wherever net/http begins to read a request,
// the check must have seen one begin, or a head could pass unseen.
func FuzzFraming(f *testing.F) {
	for _, c := range framings {
		f.Add([]byte(c.data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		starts, ok := serving.FollowFraming(data)
		if !ok {
			return
		}
		source := bytes.NewReader(data)
		reader := bufio.NewReaderSize(source, 16<<10)
		for {
			offset := len(data) - source.Len() - reader.Buffered()
			r, err := http.ReadRequest(reader)
			if err != nil {
				return
			}
			if !slices.Contains(starts, offset) {
				t.Fatalf("net/http reads a request at %d, the check saw them at %v: %q", offset, starts, data)
			}
			for name := range r.Header {
				if strings.ContainsAny(name, " ") {
					return // the server refuses it
				}
			}
			if r.ProtoMajor != 1 {
				return // the server refuses it
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return // the server closes the connection
			}
		}
	})
}

func BenchmarkFraming(b *testing.B) {
	data := []byte("GET /apis/wardle.example.com/v1alpha1/namespaces/demo/flunders/one HTTP/1.1\r\nHost: 127.0.0.1:6443\r\n" +
		"User-Agent: kubectl/v1.36.0 (linux/amd64) kubernetes/0000000\r\nAccept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json\r\n" +
		"Accept-Encoding: gzip\r\nKubectl-Command: kubectl get\r\n\r\n")
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if serving.RefusesFraming(data, len(data)) {
			b.Fatal("a good request was refused")
		}
	}
}
