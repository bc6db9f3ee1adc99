package proxy_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/portico-api/portico/aggregator/proxy"
	"github.com/portico-api/portico/aggregator/wire"
)

// dying is a backend whose first connections die between the look at them and the request.
type dying struct {
	*target
	left atomic.Int32
}

func (d *dying) Pick(proxy.Endpoint) (proxy.Endpoint, error) { return d, nil }

func (d *dying) Connect(ctx context.Context, need wire.Need) (*wire.Conn, *wire.Stream, error) {
	c, s, err := d.target.Connect(ctx, need)
	if err == nil && d.left.Add(-1) >= 0 {
		c.Close()
	}
	return c, s, err
}

// What was never sent is sent again, whatever it does; what may have been read is not, unless that does no harm.
func TestOnlyWhatWasNeverSentIsAlwaysSentAgain(t *testing.T) {
	small, large := "once", strings.Repeat("x", 1<<20)
	for name, test := range map[string]struct {
		method, body string
		dead         int32 // connections that die before the request
		cut          int32 // that die after it
		code         int
		asked        int32
	}{
		"a POST over a dead connection":            {http.MethodPost, small, 1, 0, 200, 1},
		"a long POST over two of them":             {http.MethodPost, large, 2, 0, 200, 1},
		"a POST over nothing but dead connections": {http.MethodPost, small, 9, 0, 503, 0},
		"a DELETE over a dead connection":          {http.MethodDelete, "", 1, 0, 200, 1},
		"a GET over a dead connection":             {http.MethodGet, "", 1, 0, 200, 1},
		"a POST that was read":                     {http.MethodPost, small, 0, 1, 503, 1},
		"a long POST that was read":                {http.MethodPost, large, 0, 1, 503, 1},
		"a GET that was read":                      {http.MethodGet, "", 0, 1, 200, 2},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, http2 bool) {
				var asked, cut atomic.Int32
				cut.Store(test.cut)
				url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(r.Body)
					if err != nil || string(body) != test.body {
						t.Errorf("the backend reads %d bytes of %d: %v", len(body), len(test.body), err)
					}
					if asked.Add(1); cut.Add(-1) >= 0 {
						answerRaw(t, w, "")
					}
				}, func(cfg *proxy.Config) {
					d := &dying{target: cfg.Backend.(*target)}
					d.left.Store(test.dead)
					cfg.Backend = d
				})
				wantAnswer(t, client(http2), test.method, url+"/apis/example.com/v1/things", test.body, test.code, &asked, test.asked)
			})
		})
	}
}
