package delegation_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"

	"github.com/portico-api/portico/delegation"
)

func check(name, group string, err error) delegation.HealthCheck {
	return delegation.HealthCheck{Name: name, Group: group, Check: func(context.Context) error { return err }}
}

func TestHealthEndpoint(t *testing.T) {
	for name, tc := range map[string]struct {
		target   string
		wantCode int
		want     string
	}{
		"ok in two letters":                   {"/healthz?exclude=bad&exclude=g", 200, "ok"},
		"a failure is told with every check":  {"/healthz", 500, "[+]ping ok\n[+]log ok\n[-]bad failed: reason withheld\n[-]worse failed: reason withheld\n[+]good ok\nhealthz check failed\n"},
		"verbose, a check and a group apart":  {"/healthz?verbose&exclude=bad&exclude=g", 200, "[+]ping ok\n[+]log ok\n[+]bad excluded: ok\n[+]worse excluded with g: ok\n[+]good excluded with g: ok\nhealthz check passed\n"},
		"an unknown exclusion is warned of":   {"/healthz?verbose&exclude=bad&exclude=g&exclude=x&exclude=y&exclude=x", 200, "[+]ping ok\n[+]log ok\n[+]bad excluded: ok\n[+]worse excluded with g: ok\n[+]good excluded with g: ok\nwarn: some health checks cannot be excluded: no matches for \"x\",\"y\"\nhealthz check passed\n"},
		"a single check":                      {"/healthz/good", 200, "ok"},
		"a single check that fails tells why": {"/healthz/bad", 500, "internal server error: the disk is full\n"},
		"a check there is not":                {"/healthz/unknown", 404, "404 page not found\n"},
		"livez has the same checks":           {"/livez/bad", 500, "internal server error: the disk is full\n"},
		"readyz has checks of its own":        {"/readyz/late", 500, "internal server error: not yet\n"},
		"which healthz has not":               {"/healthz/late", 404, "404 page not found\n"},
		"readyz is told about the shutdown":   {"/readyz/shutdown", 200, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			unit := newUnit(t, openConfig(), "front", delegation.NewEmptyDelegate())
			err := errors.Join(
				unit.AddHealthChecks(check("bad", "", errors.New("the disk is full")), check("worse", "g", errors.New("the disk is gone")), check("good", "g", nil)),
				unit.AddReadyzChecks(check("late", "", errors.New("not yet"))),
			)
			if err != nil {
				t.Fatal(err)
			}
			unit.PrepareRun()
			w := request(unit.Handler, http.MethodGet, tc.target)
			if got := w.Body.String(); w.Code != tc.wantCode || got != tc.want {
				t.Errorf("GET %s\n got %d %q\nwant %d %q", tc.target, w.Code, got, tc.wantCode, tc.want)
			}
			for header, want := range map[string]string{"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"} {
				if got := w.Header().Get(header); got != want && w.Code != http.StatusNotFound {
					t.Errorf("GET %s: %s: got %q, want %q", tc.target, header, got, want)
				}
			}
		})
	}
}

func TestHealthChecksOfADelegateAreTheFrontsToo(t *testing.T) {
	config := openConfig()
	config.HealthChecks = append(config.HealthChecks, check("etcd", "", nil))
	inner := newUnit(t, config, "inner", delegation.NewEmptyDelegate())
	if err := inner.AddHealthChecks(check("inner", "", nil)); err != nil {
		t.Fatal(err)
	}
	front := newUnit(t, config, "front", inner)
	if err := front.AddHealthChecks(check("outer", "", nil)); err != nil {
		t.Fatal(err)
	}
	front.PrepareRun()
	got := request(front.Handler, http.MethodGet, "/readyz?verbose").Body.String()
	want := "[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]inner ok\n[+]outer ok\n[+]informer-sync ok\n[+]shutdown ok\nreadyz check passed\n"
	if got != want {
		t.Errorf("GET /readyz?verbose\n got %q\nwant %q", got, want)
	}
}

func TestHealthIsObserved(t *testing.T) {
	unit := newUnit(t, openConfig(), "front", delegation.NewEmptyDelegate())
	if err := unit.AddReadyzChecks(check("bad", "", errors.New("the disk is full"))); err != nil {
		t.Fatal(err)
	}
	unit.PrepareRun()
	request(unit.Handler, http.MethodGet, "/readyz")
	got := request(unit.Handler, http.MethodGet, "/metrics/slis").Body.String()
	for _, want := range []string{
		`kubernetes_healthcheck{name="ping",type="readyz"} 1`,
		`kubernetes_healthcheck{name="bad",type="readyz"} 0`,
		`kubernetes_healthchecks_total{name="bad",status="error",type="readyz"} 1`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("/metrics/slis: %s is missing in\n%s", want, got)
		}
	}
}

func TestLivezIgnoresWhatIsStartingDuringItsGracePeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unit := newUnit(t, with(func(c *delegation.Config) { c.LivezGracePeriod = time.Minute }), "front", delegation.NewEmptyDelegate())
		err := unit.AddPostStartHook("slow", func(context.Context) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		unit.PrepareRun()
		for _, tc := range []struct {
			after                  time.Duration
			healthz, livez, readyz int
		}{
			{time.Minute - 1, 500, 200, 500},
			{time.Minute, 500, 500, 500},
		} {
			time.Sleep(tc.after)
			for endpoint, want := range map[string]int{"healthz": tc.healthz, "livez": tc.livez, "readyz": tc.readyz} {
				if w := request(unit.UnprotectedHandler(), http.MethodGet, "/"+endpoint+"/poststarthook/slow"); w.Code != want {
					t.Errorf("/%s after %s: got %d, want %d", endpoint, tc.after, w.Code, want)
				}
			}
		}
	})
}

func TestHealthCheckFailsWhenNothingAnswersInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := delegation.NewHealthCheck("etcd", 2*time.Second, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if err := c.Check(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("check of a store that hangs: got %v, want %v", err, context.DeadlineExceeded)
		}
	})
}

func TestTheLogTellsOnceWhyAServerIsIllThatWasWell(t *testing.T) {
	var ill error = errors.New("not started yet")
	unit := newUnit(t, openConfig(), "front", delegation.NewEmptyDelegate())
	if err := unit.AddHealthChecks(delegation.HealthCheck{Name: "disk", Check: func(context.Context) error { return ill }}); err != nil {
		t.Fatal(err)
	}
	unit.PrepareRun()
	logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.BufferLogs(true), ktesting.Verbosity(0)))
	ask := func() {
		r := httptest.NewRequest(http.MethodGet, "/readyz", nil)
		unit.Handler.ServeHTTP(httptest.NewRecorder(), r.WithContext(klog.NewContext(r.Context(), logger)))
	}
	for _, state := range []error{ill, ill, nil, nil, errors.New("full at 17:00"), errors.New("full at 17:01"), nil} {
		ill = state
		ask()
	}
	logged := logger.GetSink().(ktesting.Underlier).GetBuffer().String()
	if strings.Count(logged, "\n") != 2 || !strings.Contains(logged, `failures=["disk: full at 17:00"]`) || !strings.Contains(logged, `Health checks pass again endpoint="readyz" failed="disk"`) {
		t.Errorf("the log tells %s, want once why and once that it is over", logged)
	}
}
