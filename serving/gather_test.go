package serving_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/portico-api/portico/serving"
)

// gathered returns both ends of a connection; what the server's end is given is gathered.
func gathered(t *testing.T) (server, client net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if client, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	raw, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server = serving.Gathered(raw)
	t.Cleanup(func() {
		server.Close()
		client.Close()
	})
	return server, client
}

// TestGatheredBytesArriveInOrder also when they are more than a connection takes in at once.
func TestGatheredBytesArriveInOrder(t *testing.T) {
	server, client := gathered(t)
	const pieces = 5000
	piece := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 1+i%97) }
	var want bytes.Buffer
	for i := range pieces {
		want.Write(piece(i))
	}
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := range pieces {
			if n, err := server.Write(piece(i)); err != nil || n != len(piece(i)) {
				t.Errorf("writing piece %d: %d, %v", i, n, err)
				return
			}
		}
		// As TLS does: what was written before the deadline is not lost to it.
		if err := server.SetWriteDeadline(time.Now()); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	got, err := io.ReadAll(client)
	if err != nil {
		t.Fatal(err)
	}
	writing.Wait()
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("got %d bytes, want the %d that were written, in their order", len(got), want.Len())
	}
}

// TestGatheringWaitsForTheClient: a client that does not read holds its writers up, and not memory.
func TestGatheringWaitsForTheClient(t *testing.T) {
	for name, end := range map[string]func(net.Conn) error{
		"until the connection is closed": net.Conn.Close,
		"until a deadline":               func(c net.Conn) error { return c.SetDeadline(time.Now()) },
	} {
		t.Run(name, func(t *testing.T) {
			server, _ := gathered(t)
			stuck := make(chan error, 1)
			written := make(chan struct{}, 1)
			go func() {
				for {
					if _, err := server.Write(make([]byte, 16<<10)); err != nil {
						stuck <- err
						return
					}
					select {
					case written <- struct{}{}:
					default:
					}
				}
			}()
			<-written
			if err := end(server); err != nil {
				t.Fatal(err)
			}
			if err := <-stuck; !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the writer was told %v, want why its bytes cannot be sent", err)
			}
		})
	}
}
