package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// SetupSignalHandler returns a context that ends with the first SIGINT or SIGTERM, which begins the
// drain, or when the terminal is closed. A second SIGINT or SIGTERM ends the process at once, for whoever does not want to wait.
func SetupSignalHandler() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // under nohup it is, and stays so
		signal.Notify(signals, syscall.SIGHUP)
	}
	go awaitSignals(signals, cancel, os.Exit)
	return ctx
}

func awaitSignals(signals <-chan os.Signal, cancel context.CancelFunc, exit func(code int)) {
	<-signals
	cancel()
	for s := range signals {
		if s != syscall.SIGHUP { // a closed terminal may say so twice: its shell, and the system when the shell ends
			exit(1)
			return
		}
	}
}
