package proxy

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"sync"
)

// forward sends r, whose header has been rewritten, to address and relays the answer.
func (h *Handler) forward(ctx context.Context, w http.ResponseWriter, r *http.Request, address string) {
	interim := &interim{w: w}
	out := outgoing(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: interim.relay}), r, address)
	if out.Body != nil {
		// The transport may still be reading it when an early answer is relayed; nobody may when
		// this handler has returned.
		defer out.Body.Close()
	}

	answer, err := h.cfg.Backend.RoundTrip(out)
	interim.end()
	if err != nil {
		h.fail(w, r, reachError(ctx, err))
		return
	}
	defer answer.Body.Close()

	switch {
	case answer.StatusCode == http.StatusSwitchingProtocols:
		h.fail(w, r, errInvalidUpgrade()) // nobody has asked for it
	case isRedirect(answer):
		h.fail(w, r, errRedirect())
	default:
		h.relay(ctx, w, r, answer)
	}
}

// outgoing is r as the backend gets it. The path is sent as it was decoded, and escaped anew, so
// that the backend cannot read another path than the one that was authorized.
func outgoing(ctx context.Context, r *http.Request, address string) *http.Request {
	out := r.WithContext(ctx)
	out.URL = &url.URL{Scheme: "https", Host: address, Path: r.URL.Path, RawQuery: cleanQuery(r.URL.RawQuery)}
	out.Host = address
	out.RequestURI = ""
	out.Close = false
	out.TransferEncoding = nil
	// Trailers of requests do not pass: they are read after the header was rewritten, and a server
	// that merges the two would believe an X-Remote-User among them.
	out.Trailer = nil
	if r.ContentLength == 0 || r.Body == http.NoBody {
		out.Body = nil // a transport with a body at hand must wait to see that it is empty
	}
	return out
}

// isRedirect tells whether the answer sends the client elsewhere: it would take its credentials
// along to a place of the backend's choice.
func isRedirect(answer *http.Response) bool {
	return answer.StatusCode >= 300 && answer.StatusCode <= 399 && answer.Header.Get("Location") != ""
}

// interim relays 1xx answers, which the transport reports from a goroutine of its own.
type interim struct {
	mu    sync.Mutex
	w     http.ResponseWriter
	ended bool
}

// relay writes one 1xx answer with its headers and without ours, which belong to the final one.
func (i *interim) relay(code int, header textproto.MIMEHeader) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ended {
		return nil
	}
	ours := i.w.Header()
	kept := ours.Clone()
	clear(ours)
	for name, values := range header {
		if !isHopByHop(name) {
			ours[name] = values
		}
	}
	i.w.WriteHeader(code)
	clear(ours)
	for name, values := range kept {
		ours[name] = values
	}
	return nil
}

// end makes sure that w is ours alone again.
func (i *interim) end() {
	i.mu.Lock()
	i.ended = true
	i.mu.Unlock()
}
