package e2e

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestARestartKeepsEverything(t *testing.T) {
	p := startPortico(t)
	p.kubectl(t, "create", "namespace", "kept")
	p.interrupt(t)
	if code := p.wait(t); code != 0 {
		t.Errorf("an orderly end: got exit code %d, want 0", code)
	}
	again := restartPortico(t, p.dataDir)
	again.kubectl(t, "get", "namespace", "kept")
}

func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	p := startPortico(t)
	client := p.client(t)
	acknowledged := make(chan string, 100000)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for i := range 100000 {
			name := "w" + strconv.Itoa(i)
			response, err := client.Post(p.url+"/api/v1/namespaces/default/configmaps", "application/json", strings.NewReader(`{"metadata":{"name":"`+name+`"}}`))
			if err != nil {
				return
			}
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if response.StatusCode != http.StatusCreated {
				return
			}
			acknowledged <- name
		}
	}()
	for len(acknowledged) < 200 {
		time.Sleep(time.Millisecond)
	}
	p.kill()
	<-stopped
	close(acknowledged)
	again := restartPortico(t, p.dataDir)
	code, body := again.get(t, "/api/v1/namespaces/default/configmaps")
	if code != 200 {
		t.Fatalf("listing after the restart: %d %s", code, body)
	}
	for name := range acknowledged {
		if !strings.Contains(body, `"name":"`+name+`"`) {
			t.Fatalf("%s was acknowledged and is lost", name)
		}
	}
}

// Termination in the contract's order: readiness flips, watches end cleanly, the process ends.
func TestATermSignalDrains(t *testing.T) {
	p := startPortico(t, "--shutdown-delay-duration", "2s")
	client := p.client(t)
	response, err := client.Get(p.url + "/api/v1/namespaces?watch=1")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	p.interrupt(t)
	eventually(t, "readyz turns 500", func() bool {
		code, _ := fetch(t, client, p.url+"/readyz")
		return code == 500
	})
	if code, _ := fetch(t, client, p.url+"/livez"); code != 200 {
		t.Errorf("livez while draining: got %d, want 200", code)
	}
	if code, _ := fetch(t, client, p.url+"/api/v1/namespaces"); code != 200 {
		t.Errorf("a request during the delay: got %d, want 200", code)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Errorf("the watch ended with %v, want a clean end", err)
	}
	if code := p.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	p := startPortico(t, "--shutdown-delay-duration", "10m")
	p.interrupt(t)
	eventually(t, "readyz turns 500", func() bool {
		code, _ := p.get(t, "/readyz")
		return code == 500
	})
	p.cmd.Process.Signal(syscall.SIGTERM)
	if code := p.wait(t); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
}
