package filters_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portico-api/portico/handler/filters"
)

// within runs f inside a request with a deadline of one second.
func within(t *testing.T, parent context.Context, f func(ctx context.Context)) {
	t.Helper()
	h := filters.DefaultBuildHandlerChain(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { f(r.Context()) }), config())
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(parent, "GET", "/api/v1/nodes?timeout=1s", nil))
}

func TestTheContextEndsWithTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		within(t, t.Context(), func(ctx context.Context) {
			derived, cancel := context.WithCancel(ctx)
			defer cancel()
			if ctx.Err() != nil || derived.Err() != nil {
				t.Errorf("before the deadline the context says %v, a derived one %v", ctx.Err(), derived.Err())
			}
			start := time.Now()
			<-derived.Done()
			if took := time.Since(start); took != time.Second {
				t.Errorf("the context ended after %v, want 1s", took)
			}
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) || !errors.Is(derived.Err(), context.DeadlineExceeded) {
				t.Errorf("after the deadline the context says %v, a derived one %v", ctx.Err(), derived.Err())
			}
		})
	})
}

func TestTheContextNeedNotBeWatchedToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		within(t, t.Context(), func(ctx context.Context) {
			time.Sleep(time.Second)
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				t.Errorf("after the deadline the context says %v", ctx.Err())
			}
			select {
			case <-ctx.Done():
			default:
				t.Error("after the deadline the context is not done")
			}
		})
	})
}

func TestTheContextEndsWithTheClient(t *testing.T) {
	for name, watched := range map[string]bool{"watched": true, "unwatched": false} {
		t.Run(name, func(t *testing.T) {
			parent, leave := context.WithCancel(t.Context())
			within(t, parent, func(ctx context.Context) {
				if watched {
					ctx.Done()
				}
				leave()
				<-ctx.Done()
				if !errors.Is(ctx.Err(), context.Canceled) {
					t.Errorf("after the client has gone the context says %v", ctx.Err())
				}
			})
		})
	}
}

func TestTheContextEndsWithTheRequest(t *testing.T) {
	for name, watched := range map[string]bool{"watched": true, "unwatched": false} {
		t.Run(name, func(t *testing.T) {
			var kept context.Context
			within(t, t.Context(), func(ctx context.Context) {
				if kept = ctx; watched {
					ctx.Done()
				}
			})
			<-kept.Done()
			if !errors.Is(kept.Err(), context.Canceled) {
				t.Errorf("after the request the context says %v", kept.Err())
			}
		})
	}
}

func TestDerivingFromTheContextStartsNoGoroutine(t *testing.T) {
	within(t, t.Context(), func(ctx context.Context) {
		type key struct{}
		before := runtime.NumGoroutine()
		_, cancel := context.WithCancel(context.WithValue(ctx, key{}, 1))
		defer cancel()
		if after := runtime.NumGoroutine(); after != before {
			t.Errorf("deriving a context made %d goroutines of %d", after, before)
		}
	})
}
