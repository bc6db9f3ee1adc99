package serving_test

import (
	"fmt"
	"net"
	"testing"

	"github.com/portico-api/portico/serving"
)

func TestListenSaysWhatToDo(t *testing.T) {
	ln, err := serving.Listen("127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	port := ln.Addr().(*net.TCPAddr).Port
	for _, c := range []struct {
		name string
		host string
		port int
		want string
	}{
		{"a port in use", "127.0.0.1", port, fmt.Sprintf("address 127.0.0.1:%d is in use: stop the other program or choose --secure-port", port)},
		{"an address of another machine", "192.0.2.1", 0, "address 192.0.2.1:0 is not one of this machine: choose another --bind-address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ln, err := serving.Listen(c.host, c.port)
			if err == nil {
				ln.Close()
				t.Fatalf("listening on %s:%d worked", c.host, c.port)
			}
			if err.Error() != c.want {
				t.Errorf("error is %q, want %q", err, c.want)
			}
		})
	}
}
