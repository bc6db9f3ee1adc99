// Package rig is what the benchmarks and the measuring programs share: a front door started as a
// process, a remote API that is registered with it, and a user who may read both.
package rig

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience bounds every wait.
const patience = time.Minute

// startPatience bounds the start of what listens at once.
const startPatience = 10 * time.Second

var addressLine = regexp.MustCompile(`https://127\.0\.0\.1:\d+`)

// Process is a server that was started and has printed its address. Linux only: what it costs is
// read from /proc.
type Process struct {
	URL string

	cmd *exec.Cmd
}

// Start starts a server and returns when it has printed its address.
func Start(program string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.Command(program, args...)}
	out, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = writer, writer
	err = p.cmd.Start()
	writer.Close()
	if err != nil {
		out.Close()
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	if p.URL, err = Address(out); err != nil {
		p.kill()
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	return p, nil
}

// StartAt starts a server that is configured to listen at url, and returns when it does.
func StartAt(url, program string, args ...string) (*Process, error) {
	p := &Process{URL: url, cmd: exec.Command(program, args...)}
	var said bytes.Buffer
	p.cmd.Stdout, p.cmd.Stderr = &said, &said
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	for begin := time.Now(); time.Since(begin) < startPatience; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", strings.TrimPrefix(url, "https://")); err == nil {
			return p, c.Close()
		}
	}
	p.kill()
	return nil, fmt.Errorf("%s did not listen at %s: %s", program, url, said.String())
}

// StartPortico starts the built front door on a free port and a data directory, and returns when it
// is ready, with how long that took.
func StartPortico(binary, dir string) (*Process, time.Duration, error) {
	begin := time.Now()
	p, err := Start(binary, "serve", "--data-dir", dir, "--secure-port", "0")
	if err != nil {
		return nil, 0, err
	}
	if err := WaitReady(p.URL); err != nil {
		p.kill()
		return nil, 0, err
	}
	return p, time.Since(begin), nil
}

// Address finds the address in what a server prints, and goes on reading until the server ends so
// that it never waits for a reader.
func Address(out io.Reader) (string, error) {
	lines := bufio.NewReader(out)
	said := ""
	for {
		line, err := lines.ReadString('\n')
		if url := addressLine.FindString(line); url != "" {
			go io.Copy(io.Discard, lines)
			return url, nil
		}
		if said += line; err != nil {
			return "", fmt.Errorf("it ended before it printed its address: %s", strings.TrimSpace(said))
		}
	}
}

// WaitReady returns when the front door at url says that it is ready.
func WaitReady(url string) error {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: patience}
	defer client.CloseIdleConnections()
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(time.Millisecond) {
		response, err := client.Get(url + "/readyz")
		if err != nil {
			continue
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("%s was not ready within %v", url, patience)
}

// Stop asks the process to end, and waits for it.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	overdue := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	defer overdue.Stop()
	err := p.cmd.Wait()
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGTERM {
		return nil // it lets the system end it
	}
	if err != nil {
		return fmt.Errorf("stopping %s: %w", p.cmd.Path, err)
	}
	return nil
}

func (p *Process) kill() { _ = errors.Join(p.cmd.Process.Kill(), p.cmd.Wait()) }

// Memory is the resident memory in MB.
func (p *Process) Memory() float64 { return p.status("VmRSS:") }

// AnonymousMemory is what of it is not the content of files.
func (p *Process) AnonymousMemory() float64 { return p.status("RssAnon:") }

// PeakMemory is the most that it has been since the start or ForgetPeak.
func (p *Process) PeakMemory() float64 { return p.status("VmHWM:") }

// ForgetPeak lets the peak begin anew.
func (p *Process) ForgetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0)
}

// status is a size in MB from the process's status.
func (p *Process) status(field string) float64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == field {
			kilobytes, _ := strconv.ParseFloat(fields[1], 64)
			return kilobytes / 1000
		}
	}
	return 0
}

// CPU is the time computed so far, in user and system mode, in the kernel's ticks of 10 ms.
func (p *Process) CPU() time.Duration {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	_, after, _ := strings.Cut(string(stat), ") ") // the program's name may hold spaces
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
