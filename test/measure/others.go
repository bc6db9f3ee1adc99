package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portico-api/portico/test/rig"
)

// pause is between two requests of others.
const pause = 5 * time.Millisecond

// others is the p99, in ms, of requests that have nothing to do with what is done meanwhile. They come from a process of their own: in this
// one they would wait for its other work, too.
func others(door *rig.Door, meanwhile func() error) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	command := exec.Command(self, "-ask", door.URL, "-data-dir", door.DataDir)
	command.Stderr = os.Stderr
	input, err := command.StdinPipe()
	if err != nil {
		return 0, err
	}
	var answer strings.Builder
	command.Stdout = &answer
	if err := command.Start(); err != nil {
		return 0, err
	}
	failed := meanwhile()
	if err := input.Close(); err != nil {
		return 0, err
	}
	if err := command.Wait(); err != nil {
		return 0, fmt.Errorf("asking for something else: %w", err)
	}
	if failed != nil {
		return 0, failed
	}
	return strconv.ParseFloat(strings.TrimSpace(answer.String()), 64)
}

// ask reads one object again and again until input ends, and prints the p99 of the answers in ms.
func ask(url, dataDir string, input io.Reader) error {
	door, err := rig.Open(url, dataDir)
	if err != nil {
		return err
	}
	defer door.Close()
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, input)
		close(ended)
	}()
	var took []float64
	for {
		select {
		case <-ended:
			if len(took) == 0 {
				return fmt.Errorf("nothing was asked")
			}
			slices.Sort(took)
			fmt.Println(took[len(took)*99/100])
			return nil
		case <-time.After(pause):
		}
		begin := time.Now()
		if err := door.WaitFor(context.Background(), "/api/v1/namespaces/a"); err != nil {
			return err
		}
		took = append(took, float64(time.Since(begin).Microseconds())/1000)
	}
}
