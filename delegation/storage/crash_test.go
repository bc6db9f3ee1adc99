package storage_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/portico-api/portico/delegation/storage"
)

const crashDirVariable = "PORTICO_TEST_CRASH_DIR"

// crashChild writes as fast as it can and tells what was acknowledged, until it is killed.
func crashChild(dir string) {
	fmt.Println("opening")
	s, err := storage.Open(context.Background(), storage.Config{DataDir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	c, err := s.OpenResource(context.Background(), storage.ResourceConfig{Resource: "things", Path: "things", Namespaced: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("x%d-%d-%d", os.Getpid(), w, i)
				if o, err := c.Create(context.Background(), "a", name, thing(name, name), 0); err == nil {
					fmt.Println(name, o.ResourceVersion()) // one write, so never half a line but the last
				}
			}
		}()
	}
	time.Sleep(time.Minute)
	os.Exit(2)
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	want := map[string]string{}
	for round := range 5 {
		for name, revision := range runAndKill(t, dir, 200*(round+1)) {
			want[name] = revision
		}
		s, err := storage.Open(t.Context(), storage.Config{DataDir: dir})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		c, err := s.OpenResource(t.Context(), storage.ResourceConfig{Resource: "things", Path: "things", Namespaced: true})
		if err != nil {
			t.Fatal(err)
		}
		for name, revision := range want {
			o, err := c.Get(t.Context(), "a", name, storage.Read{})
			if err != nil {
				t.Fatalf("round %d: acknowledged write %s is lost: %v", round, name, err)
			}
			if got := fmt.Sprint(o.ResourceVersion()); got != revision {
				t.Errorf("round %d: %s: got revision %s, want %s", round, name, got, revision)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d acknowledged writes were kept over 5 kills", len(want))
}

// A first start that is killed at any moment leaves a directory that the next start can use.
func TestFirstStartMayBeKilledAnyTime(t *testing.T) {
	for _, delay := range []time.Duration{0, time.Millisecond, 3 * time.Millisecond, 6 * time.Millisecond, 10 * time.Millisecond, 15 * time.Millisecond, 25 * time.Millisecond, 40 * time.Millisecond} {
		dir := t.TempDir()
		child, lines := startChild(t, dir)
		lines.Scan() // opening
		// The one sleep that is meant: the kill has to come at different moments of the start.
		time.Sleep(delay)
		kill(t, child)
		s, err := storage.Open(t.Context(), storage.Config{DataDir: dir})
		if err != nil {
			t.Fatalf("killed after %v: %v", delay, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// runAndKill runs a writer on dir until n writes were acknowledged, and returns those.
func runAndKill(t *testing.T, dir string, n int) map[string]string {
	t.Helper()
	child, lines := startChild(t, dir)
	acknowledged := map[string]string{}
	for lines.Scan() {
		var name, revision string
		if _, err := fmt.Sscan(lines.Text(), &name, &revision); err == nil {
			acknowledged[name] = revision
		}
		if len(acknowledged) == n {
			break
		}
	}
	kill(t, child)
	if len(acknowledged) < n {
		t.Fatalf("the writer ended after %d writes, want %d", len(acknowledged), n)
	}
	return acknowledged
}

func startChild(t *testing.T, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashDirVariable+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	return child, bufio.NewScanner(out)
}

func kill(t *testing.T, child *exec.Cmd) {
	t.Helper()
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var killed *exec.ExitError
	if err := child.Wait(); !errors.As(err, &killed) {
		t.Fatalf("the child ended by itself: %v", err)
	}
}
