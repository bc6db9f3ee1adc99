package registry_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

func TestAKindSaysWhatBecomesOfDependents(t *testing.T) {
	for _, c := range []struct {
		name       string
		usual      registry.Dependents
		query      string
		finalizers string // before
		want       string // after; empty is gone
	}{
		{name: "most are collected", usual: registry.Collected},
		{name: "clients may orphan them", usual: registry.Collected, query: "?propagationPolicy=Orphan", want: "orphan"},
		{name: "clients may wait for them", usual: registry.Collected, query: "?propagationPolicy=Foreground", want: "foregroundDeletion"},
		{name: "some are orphaned", usual: registry.Orphaned, want: "orphan"},
		{name: "clients may have them collected", usual: registry.Orphaned, query: "?propagationPolicy=Background"},
		{name: "an old client may have them collected", usual: registry.Orphaned, query: "?orphanDependents=false"},
		{name: "who said so before is believed", usual: registry.Orphaned, finalizers: `,"finalizers":["foregroundDeletion"]`, want: "foregroundDeletion"},
		{name: "where there are none nobody waits", usual: registry.Ignored, query: "?propagationPolicy=Foreground"},
		{name: "where there are none nobody is orphaned", usual: registry.Ignored, query: "?propagationPolicy=Orphan"},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := configMaps()
			res.Strategy.Dependents = c.usual
			srv := server(t, rest.Config{}, open(t, res))
			want(t, http.StatusCreated, call(t, srv, "POST", inDemo, configMap("owner", c.finalizers)))
			want(t, http.StatusOK, call(t, srv, "DELETE", inDemo+"/owner"+c.query, ""))
			a := call(t, srv, "GET", inDemo+"/owner", "")
			if gone := a.code == http.StatusNotFound; gone != (c.want == "") || !gone && !strings.Contains(string(a.body), `"finalizers":["`+c.want+`"]`) {
				t.Errorf("got %d %s, want finalizer %q", a.code, a.body, c.want)
			}
		})
	}
}
