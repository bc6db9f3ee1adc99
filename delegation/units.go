package delegation

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/portico-api/portico/handler"
)

// ChainPath tells administrators what the chain is made of.
const ChainPath = "/debug/portico/chain"

// UnitStatus is what one unit of the chain is made of.
type UnitStatus struct {
	Name string `json:"name"`
	// GroupVersions are those that the unit itself has web services for, "v1" or "group/version".
	GroupVersions []string     `json:"groupVersions"`
	Hooks         []HookStatus `json:"hooks"`
	// Checks are the health checks that the unit adds, besides those of its hooks.
	Checks []string `json:"checks"`
}

// HookStatus is a post-start hook or controller, and whether it has got going.
type HookStatus struct {
	Name string `json:"name"`
	Done bool   `json:"done"`
}

// inherited is what a unit has from those behind it.
type inherited struct {
	units  func() []UnitStatus
	hooks  int
	checks []HealthCheck
}

// Units tells of this unit and, after it, of those behind it.
func (s *GenericAPIServer) Units() []UnitStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	unit := UnitStatus{Name: s.Name, GroupVersions: []string{}, Hooks: []HookStatus{}, Checks: []string{}}
	for _, ws := range s.Handler.WebServices() {
		if gv, ok := groupVersionOf(ws.RootPath()); ok {
			unit.GroupVersions = append(unit.GroupVersions, gv)
		}
	}
	slices.Sort(unit.GroupVersions)
	for _, h := range s.contributions.PostStartHooks[s.inherited.hooks:] {
		unit.Hooks = append(unit.Hooks, HookStatus{h.Name, h.isDone()})
	}
	for _, c := range s.contributions.HealthChecks.Readyz {
		known := slices.ContainsFunc(s.inherited.checks, func(other HealthCheck) bool { return other.Name == c.Name })
		if !known && !strings.HasPrefix(c.Name, hookCheckPrefix) {
			unit.Checks = append(unit.Checks, c.Name)
		}
	}
	units := []UnitStatus{unit}
	if s.inherited.units != nil {
		units = append(units, s.inherited.units()...)
	}
	return units
}

// groupVersionOf is what a web service serves, if its root is that of one group-version.
func groupVersionOf(root string) (gv string, ok bool) {
	if version, core := strings.CutPrefix(root, "/api/"); core {
		return version, true
	}
	gv, named := strings.CutPrefix(root, "/apis/")
	return gv, named && strings.Count(gv, "/") == 1
}

func (s *GenericAPIServer) serveChain(w http.ResponseWriter, r *http.Request) {
	body, err := json.Marshal(map[string]any{"units": s.Units()})
	if err != nil {
		handler.WriteError(w, r, fmt.Errorf("encoding the chain: %w", err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(body)
}
