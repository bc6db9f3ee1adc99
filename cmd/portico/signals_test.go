package main

import (
	"context"
	"os"
	"slices"
	"syscall"
	"testing"
)

func TestTheFirstSignalDrainsAndASecondOneEndsAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		signals []os.Signal
		want    []int
	}{
		"one":                      {[]os.Signal{syscall.SIGTERM}, nil},
		"two":                      {[]os.Signal{os.Interrupt, os.Interrupt}, []int{1}},
		"a closed terminal":        {[]os.Signal{syscall.SIGHUP, syscall.SIGHUP}, nil},
		"a closed one, and a kill": {[]os.Signal{syscall.SIGHUP, syscall.SIGHUP, syscall.SIGTERM}, []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			signals := make(chan os.Signal, len(c.signals))
			for _, s := range c.signals {
				signals <- s
			}
			close(signals)
			ctx, cancel := context.WithCancel(t.Context())
			var exits []int
			awaitSignals(signals, cancel, func(code int) { exits = append(exits, code) })
			if ctx.Err() == nil || !slices.Equal(exits, c.want) {
				t.Errorf("the context ended: %v; exits %v, want %v", ctx.Err(), exits, c.want)
			}
		})
	}
}
