// Package operators has the operators built before the tests that run them. The go command ends a package's tests
// after ten minutes, and on a fresh machine with two processors the programs of all tests take longer than that.
package operators

import (
	"testing"

	"github.com/portico-api/portico/test/rig"
)

func TestTheProgramsCanBeBuilt(t *testing.T) {
	if _, err := rig.Build(rig.Operator, rig.Potter); err != nil {
		t.Fatal(err)
	}
}
