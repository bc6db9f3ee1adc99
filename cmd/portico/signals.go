package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// SetupSignalHandler returns a context that ends with the first SIGINT or SIGTERM, which begins the
// drain. A second signal ends the process at once, for whoever does not want to wait.
func SetupSignalHandler() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go awaitSignals(signals, cancel)
	return ctx
}

func awaitSignals(signals <-chan os.Signal, cancel context.CancelFunc) {
	<-signals
	cancel()
	<-signals
	os.Exit(1)
}
