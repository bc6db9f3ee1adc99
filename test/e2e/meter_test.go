package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// meter asks for the same again and again from several goroutines, and keeps how long each answer took and what was wrong with it.
type meter struct {
	what    string
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	took  []time.Duration
	wrong []error
}

// pause is between two requests of one goroutine: the machine has other things to do.
const pause = 5 * time.Millisecond

// measure begins to ask; who calls it ends it with end.
func measure(t *testing.T, what string, workers int, ask func(ctx context.Context) error) *meter {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	m := &meter{what: what, cancel: cancel}
	for range workers {
		m.running.Go(func() { m.work(ctx, ask) })
	}
	t.Cleanup(m.end)
	return m
}

func (m *meter) work(ctx context.Context, ask func(ctx context.Context) error) {
	for ctx.Err() == nil {
		begin := time.Now()
		err := ask(ctx)
		if ctx.Err() != nil {
			return // what was cut off says nothing
		}
		m.note(time.Since(begin), err)
		time.Sleep(pause)
	}
}

func (m *meter) note(took time.Duration, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.took = append(m.took, took)
	if err != nil {
		m.wrong = append(m.wrong, err)
	}
}

// end stops asking. It may be called twice.
func (m *meter) end() {
	m.cancel()
	m.running.Wait()
}

// answers is how many there were.
func (m *meter) answers() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.took)
}

// failures is how many of them were wrong.
func (m *meter) failures() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.wrong)
}

// lostNothing ends the asking and fails the test when anything was wrong.
func (m *meter) lostNothing(t *testing.T) {
	t.Helper()
	m.end()
	t.Log(m)
	if len(m.took) == 0 {
		t.Errorf("%s: nothing was answered", m.what)
	}
	if n := len(m.wrong); n > 0 {
		t.Errorf("%s: %d of %d requests failed, the first with: %v; the last with: %v", m.what, n, len(m.took), m.wrong[0], m.wrong[n-1])
	}
}

// String tells what was measured: latencies are for who reads them, a busy machine makes them anything.
func (m *meter) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.took) == 0 {
		return m.what + ": no answers"
	}
	sorted := slices.Sorted(slices.Values(m.took))
	at := func(q float64) time.Duration {
		return sorted[int(q*float64(len(sorted)-1))].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("%s: %d requests, %d failed, p50 %v, p99 %v, longest %v", m.what, len(sorted), len(m.wrong), at(0.5), at(0.99), at(1))
}

// reading asks for a path with client; only a whole answer with want in it is right.
func reading(client *http.Client, url, want string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		return exchange(ctx, client, http.MethodGet, url, "", http.StatusOK, want)
	}
}

// exchange sends one request and says what is wrong with the answer.
func exchange(ctx context.Context, client *http.Client, method, url, body string, code int, want string) error {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return fmt.Errorf("reading the answer %d: %w", response.StatusCode, err)
	case response.StatusCode != code:
		return fmt.Errorf("answer %d: %.300s", response.StatusCode, got)
	case !strings.Contains(string(got), want):
		return errors.New("not what was asked for: " + tail(string(got), 300))
	}
	return nil
}
