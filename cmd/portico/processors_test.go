package main

import (
	"runtime"
	"testing"
)

func TestASmallMachineHasProcessorsToSpare(t *testing.T) {
	before := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(before)
	t.Setenv("GOMAXPROCS", "1")
	if haveProcessors(); runtime.GOMAXPROCS(0) != 1 {
		t.Error("what the operator has said is not kept")
	}
	t.Setenv("GOMAXPROCS", "")
	if haveProcessors(); runtime.GOMAXPROCS(0) != leastProcessors {
		t.Errorf("got %d, want %d", runtime.GOMAXPROCS(0), leastProcessors)
	}
	runtime.GOMAXPROCS(leastProcessors + 4)
	if haveProcessors(); runtime.GOMAXPROCS(0) != leastProcessors+4 {
		t.Error("a large machine is made a small one")
	}
}
