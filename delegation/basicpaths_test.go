package delegation_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/version"

	"github.com/portico-api/portico/delegation"
)

func TestIndexListsThePathsOfTheWholeChainOnce(t *testing.T) {
	var met trail
	front := newChain(t, &met)
	front.PrepareRun()
	w := request(front.Handler, http.MethodGet, "/")
	if got, want := w.Header().Get("Content-Type"), "application/json"; got != want {
		t.Errorf("Content-Type: got %q, want %q", got, want)
	}
	var index struct{ Paths []string }
	if err := json.Unmarshal(w.Body.Bytes(), &index); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"/api", "/api/v1", "/apis", "/apis/", "/apis/apps", "/apis/apps/v1", "/healthz", "/healthz/ping", "/livez/log", "/metrics", "/readyz/shutdown", "/version"} {
		if !slices.Contains(index.Paths, want) {
			t.Errorf("paths: %q is missing in %q", want, index.Paths)
		}
	}
	for _, unlisted := range []string{"/", "/index.html"} {
		if slices.Contains(index.Paths, unlisted) {
			t.Errorf("paths: %q is listed", unlisted)
		}
	}
	if !slices.IsSorted(index.Paths) || len(slices.Compact(slices.Clone(index.Paths))) != len(index.Paths) {
		t.Errorf("paths: got %q, want each once and in order", index.Paths)
	}
	if !strings.HasPrefix(w.Body.String(), "{\n  \"paths\": [\n    \"/api\",") {
		t.Errorf("index: got %.40q, want it indented by two spaces", w.Body)
	}
}

func TestVersionIsWhatToolsExpect(t *testing.T) {
	unit := newUnit(t, openConfig(), "front", delegation.NewEmptyDelegate())
	w := request(unit.Handler, http.MethodGet, "/version")
	var info version.Info
	if err := json.Unmarshal(w.Body.Bytes(), &info); err != nil {
		t.Fatal(err)
	}
	if info.Major != "1" || info.Minor != "36" || !strings.HasPrefix(info.GitVersion, "v1.36.") {
		t.Errorf("version: got %+v, want v1.36.x", info)
	}
	if !strings.Contains(w.Body.String(), "\n  \"gitVersion\"") {
		t.Errorf("version: got %s, want it indented by two spaces", w.Body)
	}
	if w := request(unit.Handler, http.MethodGet, "/version/x"); w.Code != http.StatusNotFound {
		t.Errorf("GET /version/x: got %d, want 404", w.Code)
	}
}

func TestMetricsTellTheVersion(t *testing.T) {
	unit := newUnit(t, openConfig(), "front", delegation.NewEmptyDelegate())
	unit.PrepareRun()
	got := request(unit.Handler, http.MethodGet, "/metrics").Body.String()
	if want := `git_version="v1.36.0+portico"`; !strings.Contains(got, want) {
		t.Errorf("/metrics: %s is missing", want)
	}
}

func TestProfilingCanBeLeftOut(t *testing.T) {
	for path, want := range map[string]int{"/debug/pprof": 302, "/debug/pprof/": 200, "/debug/pprof/cmdline": 200, "/debug/flags/v": 406} {
		for enabled, want := range map[bool]int{true: want, false: 404} {
			unit := newUnit(t, with(func(c *delegation.Config) { c.EnableProfiling = enabled }), "front", delegation.NewEmptyDelegate())
			if w := request(unit.Handler, http.MethodGet, path); w.Code != want {
				t.Errorf("GET %s with profiling=%t: got %d, want %d", path, enabled, w.Code, want)
			}
		}
	}
}
