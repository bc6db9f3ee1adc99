// Package helm has Helm and the operators built before the tests that run them. The go command gives each package eleven minutes, and on a fresh
// machine with two processors the programs of all tests take longer than that.
package helm

import (
	"testing"

	"github.com/portico-api/portico/test/rig"
)

func TestTheProgramsCanBeBuilt(t *testing.T) {
	if _, err := rig.Build(rig.Helm, rig.Operator, rig.Potter); err != nil {
		t.Fatal(err)
	}
}
