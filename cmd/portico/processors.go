package main

import (
	"os"
	"runtime"
)

// leastProcessors is how many goroutines run at a time even on a small machine. The runtime looks at the network when one of its processors
// has nothing else to do. With two of them, two pieces of long work, such as reading large definitions, kept all other requests waiting
// for tens of milliseconds; the system shares its real processors out better than that.
const leastProcessors = 4

// haveProcessors raises the number of goroutines that run at a time on a small machine, unless the operator has said how many, or has given the
// process a share of a machine, which the runtime knows of.
func haveProcessors(ofMachine int) {
	if os.Getenv("GOMAXPROCS") == "" && ofMachine < leastProcessors && runtime.GOMAXPROCS(0) == ofMachine {
		runtime.GOMAXPROCS(leastProcessors)
	}
}
