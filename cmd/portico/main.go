// Command portico is a front door for Kubernetes-style APIs: it authenticates, authorizes, limits and
// measures each request once and hands it down a chain of API servers, without a cluster.
package main

import (
	"fmt"
	"os"
)

func main() {
	ctx := SetupSignalHandler()
	if err := NewAPIServerCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "portico:", err)
		os.Exit(1)
	}
}
