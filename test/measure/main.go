// Command measure starts a built portico several times and prints what a start costs: the time from
// exec to /readyz 200 on an empty directory and on a used one, the memory after a while of
// idling and the CPU time that idling takes. Linux only: it reads /proc.
//
//	go build -o portico ./cmd/portico && go run ./test/measure -binary ./portico
package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var addressLine = regexp.MustCompile(`https://127\.0\.0\.1:\d+`)

func main() {
	binary := flag.String("binary", "./portico", "the built program")
	runs := flag.Int("runs", 5, "how many empty directories to start on")
	idle := flag.Duration("idle", 10*time.Second, "how long to idle before memory is read")
	flag.Parse()
	if err := measure(*binary, *runs, *idle); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measure(binary string, runs int, idle time.Duration) error {
	var first, second, memory, cpu []float64
	for range runs {
		dir, err := os.MkdirTemp("", "portico-measure-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		for i, times := range []*[]float64{&first, &second} {
			p, err := start(binary, dir)
			if err != nil {
				return err
			}
			*times = append(*times, float64(p.ready.Milliseconds()))
			if i == 1 {
				before := p.cpu()
				time.Sleep(idle)
				cpu = append(cpu, 100*(p.cpu()-before).Seconds()/idle.Seconds())
				memory = append(memory, p.memory())
			}
			if err := p.stop(); err != nil {
				return err
			}
		}
	}
	fmt.Printf("%-44s %8s %8s %8s\n", fmt.Sprintf("%d runs", runs), "min", "median", "max")
	for _, row := range []struct {
		what   string
		values []float64
	}{
		{"exec to readyz, empty directory (ms)", first},
		{"exec to readyz, second start (ms)", second},
		{fmt.Sprintf("resident memory after %v idle (MB)", idle), memory},
		{"CPU while idle (% of a core)", cpu},
	} {
		slices.Sort(row.values)
		fmt.Printf("%-44s %8.1f %8.1f %8.1f\n", row.what, row.values[0], row.values[len(row.values)/2], row.values[len(row.values)-1])
	}
	return nil
}

// program is a started portico.
type program struct {
	cmd   *exec.Cmd
	ready time.Duration
}

// start runs the program on dir and returns when it is ready.
func start(binary, dir string) (*program, error) {
	p := &program{cmd: exec.Command(binary, "serve", "--data-dir", dir, "--secure-port", "0")}
	out, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = writer, writer
	begin := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", binary, err)
	}
	writer.Close()
	lines := bufio.NewScanner(out)
	url := ""
	for url == "" && lines.Scan() {
		url = addressLine.FindString(lines.Text())
	}
	go func() { // keeps the pipe empty until the program ends
		for lines.Scan() {
		}
		out.Close()
	}()
	if url == "" {
		p.cmd.Process.Kill()
		return nil, errors.New("the program ended before it printed its address")
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	for time.Since(begin) < time.Minute {
		response, err := client.Get(url + "/readyz")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				p.ready = time.Since(begin)
				return p, nil
			}
		}
		time.Sleep(time.Millisecond)
	}
	p.cmd.Process.Kill()
	return nil, errors.New("the program was not ready within a minute")
}

// stop ends the program in order.
func (p *program) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.cmd.Wait()
}

// memory is the resident memory in MB.
func (p *program) memory() float64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmRSS:" {
			kilobytes, _ := strconv.ParseFloat(fields[1], 64)
			return kilobytes / 1000
		}
	}
	return 0
}

// cpu is the CPU time used so far, in user and system mode, in the kernel's ticks of 10 ms.
func (p *program) cpu() time.Duration {
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
