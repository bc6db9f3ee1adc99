package delegation_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/delegation"
)

// openConfig is a configuration in which everybody is alice and may do everything.
func openConfig() *delegation.Config {
	config := delegation.NewConfig(nil)
	config.Authenticator = authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
		return &authenticator.Response{User: &user.DefaultInfo{Name: "alice", Groups: []string{user.AllAuthenticated}}}, true, nil
	})
	config.Authorizer = authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
		return authorizer.DecisionAllow, "", nil
	})
	return config
}

func newUnit(t *testing.T, config *delegation.Config, name string, delegate delegation.DelegationTarget) *delegation.GenericAPIServer {
	t.Helper()
	unit, err := config.New(name, delegate)
	if err != nil {
		t.Fatal(err)
	}
	return unit
}

// trail records the units that a request enters.
type trail []string

// recorded is a delegation target whose being entered is recorded.
type recorded struct {
	delegation.DelegationTarget
	name  string
	trail *trail
}

func (r recorded) UnprotectedHandler() http.Handler {
	next := r.DelegationTarget.UnprotectedHandler()
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		*r.trail = append(*r.trail, r.name)
		next.ServeHTTP(w, req)
	})
}

func request(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// newChain is front → core → extensions → end. The filters and each unit behind the front record
// the requests that enter them.
func newChain(t *testing.T, met *trail) *delegation.GenericAPIServer {
	t.Helper()
	config := openConfig()
	build := config.BuildHandlerChainFunc
	config.BuildHandlerChainFunc = func(director http.Handler, c *delegation.Config) http.Handler {
		filters := build(director, c)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			*met = append(*met, "filters")
			filters.ServeHTTP(w, r)
		})
	}
	inner := *config
	inner.EnableDiscovery = false

	end := recorded{delegation.NewEmptyDelegate(), "end", met}
	extensions := newUnit(t, &inner, "extensions", end)
	extensions.Handler.NonGoRestfulMux.HandlePrefix("/apis/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/apis/custom.example.com/") {
			w.Write([]byte("custom"))
			return
		}
		end.UnprotectedHandler().ServeHTTP(w, r)
	}))
	core := newUnit(t, config, "core", recorded{extensions, "extensions", met})
	installGroups(t, core)
	return newUnit(t, &inner, "front", recorded{core, "core", met})
}

func TestRequestPassesFiltersOnceAndFallsThroughToItsUnit(t *testing.T) {
	for path, tc := range map[string]struct {
		want     []string
		wantCode int
	}{
		"/unknown":                          {[]string{"filters", "core", "extensions", "end"}, 404},
		"/apis":                             {[]string{"filters", "core"}, 200},
		"/apis/":                            {[]string{"filters", "core"}, 200},
		"/apisfoo":                          {[]string{"filters", "core", "extensions", "end"}, 404},
		"/api":                              {[]string{"filters", "core"}, 200},
		"/api/v1":                           {[]string{"filters", "core"}, 200},
		"/api/v2":                           {[]string{"filters", "core"}, 404}, // claimed, so not passed on
		"/apix":                             {[]string{"filters", "core", "extensions", "end"}, 404},
		"/apis/apps":                        {[]string{"filters", "core"}, 200},
		"/apis/apps/v1":                     {[]string{"filters", "core"}, 200},
		"/apis/apps/v9":                     {[]string{"filters", "core"}, 404}, // claimed
		"/apis/custom.example.com/v1/a":     {[]string{"filters", "core", "extensions"}, 200},
		"/apis/unknown.example.com/v1/a":    {[]string{"filters", "core", "extensions", "end"}, 404},
		"/version":                          {[]string{"filters"}, 200},
		"/version/":                         {[]string{"filters"}, 200},
		"/healthz":                          {[]string{"filters"}, 200},
		"/":                                 {[]string{"filters"}, 200},
		"/index.html":                       {[]string{"filters"}, 200},
		"/metrics":                          {[]string{"filters"}, 200},
		"/metrics/slis":                     {[]string{"filters"}, 200},
		"/debug/pprof/goroutine?debug=1":    {[]string{"filters"}, 200},
		"/apis/apps/v1/unknown/../namespac": {[]string{"filters", "core"}, 404}, // not cleaned
	} {
		t.Run(path, func(t *testing.T) {
			var met trail
			front := newChain(t, &met)
			front.PrepareRun()
			w := request(front.Handler, http.MethodGet, path)
			if !slices.Equal(met, tc.want) {
				t.Errorf("GET %s passed %v, want %v", path, met, tc.want)
			}
			if w.Code != tc.wantCode {
				t.Errorf("GET %s: got %d, want %d: %s", path, w.Code, tc.wantCode, w.Body)
			}
		})
	}
}

func TestUnclaimedPathIs404InPlainTextAndOnlyOnceTheChainIsComplete(t *testing.T) {
	config := openConfig()
	inner := newUnit(t, config, "inner", delegation.NewEmptyDelegate())
	innerComplete, outerComplete := make(chan struct{}), make(chan struct{})
	if err := inner.AddMuxCompleteSignal("inner", innerComplete); err != nil {
		t.Fatal(err)
	}
	front := newUnit(t, config, "front", inner)
	if err := front.AddMuxCompleteSignal("outer", outerComplete); err != nil {
		t.Fatal(err)
	}

	incomplete := func(when string) {
		t.Helper()
		w := request(front.Handler, http.MethodGet, "/unknown")
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "5" {
			t.Errorf("%s: got %d, Retry-After %q, want 503 and 5: %s", when, w.Code, w.Header().Get("Retry-After"), w.Body)
		}
		if !strings.Contains(w.Body.String(), `"reason":"ServiceUnavailable"`) {
			t.Errorf("%s: got %s, want a Status", when, w.Body)
		}
		if w := request(front.Handler, http.MethodGet, "/version"); w.Code != http.StatusOK {
			t.Errorf("%s, a claimed path: got %d, want 200", when, w.Code)
		}
	}
	incomplete("before any signal")
	close(outerComplete)
	incomplete("after the front's signal")
	close(innerComplete)

	w := request(front.Handler, http.MethodGet, "/unknown")
	if got, want := w.Body.String(), "404 page not found\n"; w.Code != 404 || got != want {
		t.Errorf("complete: got %d %q, want 404 %q", w.Code, got, want)
	}
	if got, want := w.Header().Get("Content-Type"), "text/plain; charset=utf-8"; got != want {
		t.Errorf("complete: Content-Type: got %q, want %q", got, want)
	}
}

func TestFrontWithoutAuthenticationLetsNobodyIn(t *testing.T) {
	front := newUnit(t, delegation.NewConfig(nil), "front", delegation.NewEmptyDelegate())
	if w := request(front.Handler, http.MethodGet, "/version"); w.Code != http.StatusInternalServerError {
		t.Errorf("GET /version of an unguarded front: got %d, want 500", w.Code)
	}
	if w := request(front.UnprotectedHandler(), http.MethodGet, "/version"); w.Code != http.StatusOK {
		t.Errorf("GET /version of an unguarded delegate: got %d, want 200", w.Code)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	end := delegation.NewEmptyDelegate()
	for name, tc := range map[string]struct {
		config   *delegation.Config
		unit     string
		delegate delegation.DelegationTarget
		want     string
	}{
		"a unit without a name":             {openConfig(), "", end, "needs a name"},
		"a unit without a delegate":         {openConfig(), "a", nil, "NewEmptyDelegate"},
		"a configuration made by hand":      {&delegation.Config{}, "a", end, "NewConfig"},
		"a timeout that is not positive":    {with(func(c *delegation.Config) { c.RequestTimeout = 0 }), "a", end, "request timeout"},
		"a limit that is negative":          {with(func(c *delegation.Config) { c.MaxRequestsInFlight = -1 }), "a", end, "limits"},
		"a shutdown delay that is negative": {with(func(c *delegation.Config) { c.ShutdownDelayDuration = -1 }), "a", end, "shutdown"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tc.config.New(tc.unit, tc.delegate)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("New(%q): got error %v, want one with %q", tc.unit, err, tc.want)
			}
		})
	}
}

func with(change func(*delegation.Config)) *delegation.Config {
	config := openConfig()
	change(config)
	return config
}
