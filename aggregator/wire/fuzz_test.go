package wire_test

import (
	"bufio"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// FuzzAnswer: what is understood here, net/http's client understands in the same way. What it refuses, or would
// read past, is refused here too. (That more is refused here is meant.)
func FuzzAnswer(f *testing.F) {
	for _, c := range good {
		f.Add(c.method, c.raw)
	}
	for name, raw := range bad {
		if !strings.HasPrefix(name, "too") {
			f.Add("GET", raw)
		}
	}
	f.Fuzz(func(t *testing.T, method, raw string) {
		if method != http.MethodHead {
			method = http.MethodGet
		}
		got := read(method, strings.NewReader(raw))
		if got.err != nil {
			if got.clean {
				t.Errorf("%q fails with %v and leaves the connection clean", raw, got.err)
			}
			return
		}
		want, err := theirs(method, raw)
		if err != nil {
			t.Fatalf("%q is read as %+v; net/http refuses it: %v", raw, got, err)
		}
		// net/http moves what frames the message, and what is about the connection, out of the header.
		for _, h := range []http.Header{got.header, want.header} {
			for _, name := range []string{"Content-Length", "Transfer-Encoding", "Connection", "Trailer"} {
				delete(h, name)
			}
		}
		if got.status != want.status || got.body != want.body || !reflect.DeepEqual(got.header, want.header) || !reflect.DeepEqual(got.trailer, want.trailer) && len(got.trailer)+len(want.trailer) > 0 {
			t.Errorf("%q is read as\n%+v\nnet/http reads\n%+v", raw, got, want)
		}
		if got.clean && want.rest > 0 {
			t.Errorf("%q leaves %d bytes behind, and the connection clean", raw, want.rest)
		}
	})
}

type theirReading struct {
	reading
	rest int // bytes that do not belong to the answer
}

// theirs is what net/http reads.
func theirs(method, raw string) (got theirReading, err error) {
	reader := bufio.NewReader(strings.NewReader(raw))
	for {
		answer, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err != nil {
			return got, err
		}
		if answer.StatusCode < 200 && answer.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		got.status, got.header = answer.StatusCode, answer.Header
		if answer.StatusCode == http.StatusSwitchingProtocols {
			return got, nil
		}
		body, err := io.ReadAll(answer.Body)
		got.body, got.trailer = string(body), answer.Trailer
		rest, _ := io.ReadAll(reader)
		got.rest = len(rest)
		return got, err
	}
}
