package main

import (
	"runtime"
	"testing"
)

func TestASmallMachineHasProcessorsToSpare(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, c := range []struct {
		what                     string
		said                     string
		ofMachine, before, after int
	}{
		{"a small machine", "", 2, 2, leastProcessors},
		{"what the operator says", "2", 2, 2, 2},
		{"a share of a machine", "", 2, 1, 1},
		{"a large machine", "", 8, 8, 8},
		{"a share of a large machine", "", 8, 2, 2},
	} {
		t.Setenv("GOMAXPROCS", c.said)
		runtime.GOMAXPROCS(c.before)
		if haveProcessors(c.ofMachine); runtime.GOMAXPROCS(0) != c.after {
			t.Errorf("%s: got %d, want %d", c.what, runtime.GOMAXPROCS(0), c.after)
		}
	}
}
