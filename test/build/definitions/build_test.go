// Package definitions has controller-gen built, and the projects whose definitions are tested fetched, before the tests that need them. The go command
// gives each package eleven minutes, and on a fresh machine with two processors the programs of all tests take longer than that.
package definitions

import (
	"testing"

	"github.com/portico-api/portico/test/rig"
)

func TestTheProjectsCanBeFetched(t *testing.T) {
	for _, module := range []string{rig.CertManager, rig.PrometheusOperator, rig.GatewayAPI} {
		if _, err := rig.ModuleDir(module); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheProgramsCanBeBuilt(t *testing.T) {
	if _, err := rig.Build(rig.ControllerGen); err != nil {
		t.Fatal(err)
	}
}
