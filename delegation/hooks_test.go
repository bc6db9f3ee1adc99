package delegation_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"

	"github.com/portico-api/portico/delegation"
)

func TestContributionsMustBeHeardOf(t *testing.T) {
	hook := func(context.Context) error { return nil }
	closed := make(chan struct{})
	add := map[string]func(*delegation.GenericAPIServer, string) error{
		"post-start hook":   func(s *delegation.GenericAPIServer, n string) error { return s.AddPostStartHook(n, hook) },
		"pre-shutdown hook": func(s *delegation.GenericAPIServer, n string) error { return s.AddPreShutdownHook(n, hook) },
		"health check":      func(s *delegation.GenericAPIServer, n string) error { return s.AddHealthChecks(check(n, "", nil)) },
		"readyz check":      func(s *delegation.GenericAPIServer, n string) error { return s.AddReadyzChecks(check(n, "", nil)) },
		"informer": func(s *delegation.GenericAPIServer, n string) error {
			return s.AddInformer(n, func(context.Context, func()) error { return nil })
		},
		"signal": func(s *delegation.GenericAPIServer, n string) error { return s.AddMuxCompleteSignal(n, closed) },
	}
	for what, add := range add {
		t.Run(what, func(t *testing.T) {
			config := openConfig()
			inner := newUnit(t, config, "inner", delegation.NewEmptyDelegate())
			front := func() *delegation.GenericAPIServer { return newUnit(t, config, "front", inner) }

			if err := add(inner, "once"); err != nil {
				t.Fatal(err)
			}
			if err := add(inner, "once"); err == nil {
				t.Error("added twice to one unit: got no error")
			}
			if err := add(inner, ""); err == nil {
				t.Error("added without a name: got no error")
			}
			outer := front()
			if err := add(outer, "once"); err == nil {
				t.Error("added to the front what its delegate has: got no error")
			}
			if err := add(inner, "late"); err == nil || !strings.Contains(err.Error(), "in front") {
				t.Errorf("added to a unit that is a delegate already: got %v, want an error", err)
			}
			outer.PrepareRun()
			if err := add(outer, "late"); err == nil || !strings.Contains(err.Error(), "prepared") {
				t.Errorf("added after PrepareRun: got %v, want an error", err)
			}
		})
	}
}

func TestReadyzWaitsForWhatIsReadFromTheStore(t *testing.T) {
	defer goleak.VerifyNone(t)
	config := openConfig()
	inner := newUnit(t, config, "inner", delegation.NewEmptyDelegate())
	release := make(chan struct{})
	informer := func(ctx context.Context, synced func()) error {
		select {
		case <-release:
			synced()
		case <-ctx.Done():
		}
		<-ctx.Done()
		return ctx.Err()
	}
	if err := inner.AddInformer("roles", informer); err != nil {
		t.Fatal(err)
	}
	front := newUnit(t, config, "front", inner)
	ctx, cancel := context.WithCancel(t.Context())
	running, err := front.PrepareRun().NonBlockingRun(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if w := request(front.Handler, http.MethodGet, "/readyz/informer-sync"); w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "1 informers not synced yet: [roles]") {
		t.Errorf("GET /readyz/informer-sync: got %d %s, want 500 that names the informer", w.Code, w.Body)
	}
	if w := request(front.Handler, http.MethodGet, "/livez/informer-sync"); w.Code != http.StatusNotFound {
		t.Errorf("GET /livez/informer-sync: got %d, want 404: a restart would not help", w.Code)
	}
	close(release)
	for request(front.Handler, http.MethodGet, "/readyz/informer-sync").Code != http.StatusOK {
		if t.Context().Err() != nil {
			t.Fatal("never synced")
		}
	}
	cancel()
	if err := running.Wait(); err != nil {
		t.Errorf("Run: got %v, want no error", err)
	}
}

func TestHooksOfEveryUnitRunAndAreWaitedForByReadyz(t *testing.T) {
	defer goleak.VerifyNone(t)
	config := openConfig()
	inner := newUnit(t, config, "inner", delegation.NewEmptyDelegate())
	release := make(chan struct{})
	if err := inner.AddPostStartHook("slow", func(context.Context) error { <-release; return nil }); err != nil {
		t.Fatal(err)
	}
	front := newUnit(t, config, "front", inner)
	started, controllerEnded := make(chan struct{}), make(chan struct{})
	err := front.AddController("controller", func(ctx context.Context, done func()) error {
		done()
		done() // more than once is no harm
		close(started)
		<-ctx.Done()
		close(controllerEnded)
		return ctx.Err()
	})
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	running, err := front.PrepareRun().NonBlockingRun(ctx)
	if err != nil {
		t.Fatal(err)
	}
	<-started
	if w := request(front.Handler, http.MethodGet, "/readyz"); !strings.Contains(w.Body.String(), "[-]poststarthook/slow failed") {
		t.Errorf("readyz before the inner unit's hook is done: got %q, want a failure", w.Body)
	}
	if w := request(front.Handler, http.MethodGet, "/readyz/poststarthook/controller"); w.Code != http.StatusOK {
		t.Errorf("readyz of a controller that runs: got %d %s, want 200", w.Code, w.Body)
	}
	close(release)
	for request(front.Handler, http.MethodGet, "/readyz").Code != http.StatusOK {
		if t.Context().Err() != nil {
			t.Fatal("never ready")
		}
	}

	cancel()
	if err := running.Wait(); err != nil {
		t.Errorf("Run: got %v, want no error", err)
	}
	select {
	case <-controllerEnded:
	default:
		t.Error("Run returned before its controller")
	}
}

func TestTheLogTellsHowLongTheStartTookAlthoughNobodyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.BufferLogs(true)))
		ctx, cancel := context.WithCancel(klog.NewContext(t.Context(), logger))
		unit := newUnit(t, openConfig(), "front", delegation.NewEmptyDelegate())
		if err := unit.AddPostStartHook("slow", func(context.Context) error { time.Sleep(3 * time.Second); return nil }); err != nil {
			t.Fatal(err)
		}
		running, err := unit.PrepareRun().NonBlockingRun(ctx)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		cancel()
		if err := running.Wait(); err != nil {
			t.Errorf("Run: got %v, want no error", err)
		}
		logged := logger.GetSink().(ktesting.Underlier).GetBuffer().String()
		if !strings.Contains(logged, `Ready unit="front" after="3s"`) {
			t.Errorf("logged %q, want that it is ready after 3s", logged)
		}
	})
}

func TestRunEndsWithTheErrorOfAHook(t *testing.T) {
	defer goleak.VerifyNone(t)
	bad := errors.New("no such table")
	for name, tc := range map[string]struct {
		add  func(*delegation.GenericAPIServer) error
		want string
	}{
		"a hook that fails": {
			func(s *delegation.GenericAPIServer) error {
				return s.AddPostStartHook("bootstrap", func(context.Context) error { return bad })
			},
			`running post-start hook "bootstrap": no such table`,
		},
		"a controller that fails": {
			func(s *delegation.GenericAPIServer) error {
				return s.AddController("gc", func(_ context.Context, started func()) error { started(); return bad })
			},
			`running post-start hook "gc": no such table`,
		},
		"a controller that returns while it is needed": {
			func(s *delegation.GenericAPIServer) error {
				return s.AddController("gc", func(_ context.Context, started func()) error { started(); return nil })
			},
			`running post-start hook "gc": the controller returned before the end`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			// A shutdown delay would be waited for if the chain did not know that it has failed.
			unit := newUnit(t, with(func(c *delegation.Config) { c.ShutdownDelayDuration = 1 << 40 }), "front", delegation.NewEmptyDelegate())
			destroyed := false
			if err := errors.Join(tc.add(unit), unit.AddDestroyFunc("store", func() error { destroyed = true; return nil })); err != nil {
				t.Fatal(err)
			}
			if err := unit.PrepareRun().Run(t.Context()); err == nil || err.Error() != tc.want {
				t.Errorf("Run: got %v, want %s", err, tc.want)
			}
			if !destroyed {
				t.Error("the store was not destroyed")
			}
		})
	}
}
