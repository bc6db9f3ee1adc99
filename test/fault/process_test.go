package fault

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/portico-api/portico/test/rig"
)

// patience bounds every wait of these tests. A test that passes does not wait for it.
const patience = time.Minute

// process is a program that a test started; its output is shown when the test fails.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
}

func start(t *testing.T, program string, args ...string) *process {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := &process{cmd: exec.Command(program, args...), log: log.Name(), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", program, err)
	}
	go p.await()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("output of %v:\n%s", p.cmd.Args, p.output())
		}
	})
	return p
}

func (p *process) await() {
	_ = p.cmd.Wait() // how it ended is asked where it matters
	close(p.done)
}

// output is the end of what the process has printed.
func (p *process) output() string {
	b, _ := os.ReadFile(p.log)
	return string(b[max(0, len(b)-8000):])
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signalling %v: %v", p.cmd.Args, err)
	}
}

// kill ends the process at once, whatever it is doing.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// wait returns the exit code.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("%v is still running", p.cmd.Args)
	}
	return p.cmd.ProcessState.ExitCode()
}

// door is a front door that can be started again at the same address, with its clients none the wiser.
type door struct {
	dir  string
	port int
	args []string
	*process
}

// newDoor is not started yet.
func newDoor(t *testing.T, dir string, args ...string) *door {
	t.Helper()
	return &door{dir: dir, port: freePort(t), args: args}
}

func (d *door) launch(t *testing.T) {
	t.Helper()
	d.process = start(t, porticoBinary, append([]string{"serve", "--data-dir", d.dir, "--secure-port", strconv.Itoa(d.port)}, d.args...)...)
}

// start returns when the door is ready.
func (d *door) start(t *testing.T) {
	t.Helper()
	d.launch(t)
	eventually(t, "the front door is ready", func() bool {
		if d.ended() {
			t.Fatalf("it ended before it was ready:\n%s", d.output())
		}
		return d.readyz() == http.StatusOK
	})
}

// stop ends the door in order.
func (d *door) stop(t *testing.T) {
	t.Helper()
	d.signal(t, syscall.SIGTERM)
	if code := d.wait(t); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
}

// readyz is the answer's code, or 0 without one.
func (d *door) readyz() int {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: patience}
	defer client.CloseIdleConnections()
	response, err := client.Get("https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(d.port)) + "/readyz")
	if err != nil {
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

// config is the administrator's.
func (d *door) config(t *testing.T) *restclient.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(d.dir, "admin.kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	return config
}

// configMaps are what the tests write.
func (d *door) configMaps(t *testing.T) corev1client.ConfigMapInterface {
	t.Helper()
	client, err := kubernetes.NewForConfig(d.config(t))
	if err != nil {
		t.Fatal(err)
	}
	return client.CoreV1().ConfigMaps("default")
}

// run runs portico with args to its end.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	command := exec.CommandContext(t.Context(), porticoBinary, args...)
	command.Stdout, command.Stderr = &out, &out
	err := command.Run()
	return out.String(), err
}

// eventually asks until the answer is true.
func eventually(t *testing.T, what string, ask func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ask(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// freePort returns one for programs that cannot choose one themselves.
func freePort(t *testing.T) int {
	t.Helper()
	port, err := rig.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}
