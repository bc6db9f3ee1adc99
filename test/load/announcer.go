package main

import (
	"fmt"
	"io"
	"net/http"
	"sync"
)

// announcer is the bare server that a watch is compared with: whoever GETs gets whatever is POSTed from then on,
// in the same bytes, flushed when there is no more at hand.
type announcer struct {
	mu     sync.RWMutex
	frames [][]byte
	more   chan struct{} // closed when there is another frame
}

func newAnnouncer() *announcer { return &announcer{more: make(chan struct{})} }

func (a *announcer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		a.watch(w, r)
		return
	}
	frame, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, fmt.Sprintf("reading the frame: %v", err), http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.frames = append(a.frames, frame)
	close(a.more)
	a.more = make(chan struct{})
}

func (a *announcer) watch(w http.ResponseWriter, r *http.Request) {
	flusher := w.(http.Flusher)
	at, _, _ := a.since(0)
	w.Header()["Content-Type"] = []string{"application/json"}
	w.WriteHeader(http.StatusOK)
	flusher.Flush()
	for {
		next, frames, more := a.since(at)
		for _, frame := range frames {
			if _, err := w.Write(frame); err != nil {
				return
			}
		}
		if at = next; len(frames) > 0 {
			flusher.Flush()
			continue
		}
		select {
		case <-more:
		case <-r.Context().Done():
			return
		}
	}
}

func (a *announcer) since(at int) (next int, frames [][]byte, more <-chan struct{}) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return len(a.frames), a.frames[at:], a.more
}
