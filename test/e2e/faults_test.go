package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// recovery is how soon a server that is back is used again.
const recovery = 2 * time.Second

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// Whatever becomes of the server of one group, no request to another fails, what it breaks off is never taken for whole, and it is asked
// again soon after it is well.
func TestTheFaultsOfOneGroupHurtNoOther(t *testing.T) {
	t.Parallel()
	p := startPortico(t)
	well, bad := newTroublemaker(t, "well"), newTroublemaker(t, "bad")
	well.register(p)
	bad.register(p)
	p.kubectl(t, "create", "configmap", "mine")
	client := p.client(t)

	others := []*meter{
		measure(t, "another group", 2, reading(client, p.url+well.path(), well.everything)),
		measure(t, "config maps", 1, reading(client, p.url+"/api/v1/namespaces/default/configmaps", `"mine"`)),
		measure(t, "discovery", 1, reading(client, p.url+"/apis", bad.group)),
		measure(t, "OpenAPI", 1, reading(client, p.url+"/openapi/v3", "apis/apiregistration.k8s.io/v1")),
	}
	hurried := *client
	hurried.Timeout = 2 * time.Second
	for _, m := range bad.moods() {
		t.Log("the server is " + m.name)
		bad.become(m)
		victims := measure(t, "the server "+m.name, 4, reading(&hurried, p.url+bad.path(), bad.everything))
		time.Sleep(500 * time.Millisecond)
		p.touch(t, "bad")                                  // otherwise the next look at it may be half a minute away
		time.Sleep(hurried.Timeout - 300*time.Millisecond) // who asked first has given up
		victims.end()
		t.Log(victims)
		if got := victims.failures(); m.answers == (got > 0) {
			t.Errorf("the server is %s: %d of %d requests failed", m.name, got, victims.answers())
		}

		bad.become(mood{})
		begin := time.Now()
		eventually(t, "it answers again", func() bool { return reading(client, p.url+bad.path(), bad.everything)(t.Context()) == nil })
		if took := time.Since(begin); took > recovery {
			t.Errorf("the server was %s: it answers %v after it is well", m.name, took)
		}
		time.Sleep(200 * time.Millisecond) // a look at it that began before has ended then
		p.kubectl(t, "wait", "--for=condition=Available", "--timeout=60s", "apiservice/v1."+bad.group)
	}
	for _, m := range others {
		m.lostNothing(t)
	}
}

// touch has what is behind a service of portico register looked at now.
func (p *portico) touch(t *testing.T, service string) {
	t.Helper()
	p.kubectl(t, "annotate", "endpointslices", "-l", "kubernetes.io/service-name="+service, "--overwrite", fmt.Sprint("touched=", time.Now().UnixNano()))
}

const flunders = "/apis/wardle.example.com/v1alpha1/namespaces/default/flunders"

// startReplicas starts unmodified servers on one etcd, behind one service.
func startReplicas(t *testing.T, p *portico, n int) []*sampleAPIServer {
	t.Helper()
	etcd := startEtcd(t)
	var all []*sampleAPIServer
	for range n {
		all = append(all, newSampleAPIServer(t, p.kubeconfig, etcd))
	}
	for _, s := range all {
		s.launch(t)
	}
	for _, s := range all {
		s.untilReady(t)
	}
	p.registerReplicas(t, all)
	p.untilKubectl(t, "created", "create", "-f", "../../deploy/examples/flunder.yaml")
	return all
}

func (p *portico) registerReplicas(t *testing.T, all []*sampleAPIServer) {
	t.Helper()
	args := []string{"register", "wardle.example.com/v1alpha1", "--insecure-skip-tls-verify", "--wait", "60s"}
	for _, s := range all {
		args = append(args, "--backend", "https://"+loopback(s.port))
	}
	if out, err := p.runs(args...); err != nil {
		t.Fatalf("registering: %v %s", err, out)
	}
}

// answersOf is how many requests of clients a server has answered.
func (p *portico) answersOf(t *testing.T, s *sampleAPIServer) (sum float64) {
	t.Helper()
	_, page := p.get(t, "/metrics")
	series := regexp.MustCompile(`(?m)^portico_backend_requests_total\{.*endpoint="` + regexp.QuoteMeta(loopback(s.port)) + `".*\} (\S+)$`)
	for _, found := range series.FindAllStringSubmatch(page, -1) {
		n, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// untilAsked waits until requests of clients go to an endpoint, and tells how long that took.
func (p *portico) untilAsked(t *testing.T, s *sampleAPIServer) time.Duration {
	t.Helper()
	begin, before := time.Now(), p.answersOf(t, s)
	eventually(t, "requests go to "+loopback(s.port), func() bool { return p.answersOf(t, s) > before })
	return time.Since(begin)
}

// Of three unmodified servers two may go, by death or by silence, and no read of their group fails; those that are back work again at once.
func TestAGroupOutlivesTwoOfItsThreeServers(t *testing.T) {
	t.Parallel()
	p := startPortico(t)
	all := startReplicas(t, p, 3)
	client := p.client(t)
	read := reading(client, p.url+flunders, "my-first-flunder")
	p.kubectl(t, "explain", "flunders")
	readers := measure(t, "reads", 4, read)
	meanwhile := measure(t, "config maps", 1, reading(client, p.url+"/api/v1/namespaces/default/configmaps", "ConfigMapList"))

	all[0].kill()
	eventually(t, "portico apiservices tells who is left out", func() bool {
		out, err := p.runs("apiservices", "-o", "wide", "--during", "100ms")
		return err == nil && strings.Contains(squeezed(out), wardleService+" default/wardle 2 of 3 True ") &&
			strings.Contains(out, "left out because of failures: "+loopback(all[0].port)+"\n") && strings.Count(out, loopback(all[1].port)) == 1
	})
	all[1].signal(t, syscall.SIGSTOP)
	time.Sleep(4 * time.Second)
	before := readers.answers()
	eventually(t, "the last server answers", func() bool { return readers.answers() > before+20 })

	all[1].signal(t, syscall.SIGCONT)
	if took := p.untilAsked(t, all[1]); took > recovery {
		t.Errorf("one that was stopped is asked %v after it goes on", took)
	}
	all[0].start(t)
	if took := p.untilAsked(t, all[0]); took > recovery {
		t.Errorf("one that was killed is asked %v after it is ready", took)
	}
	readers.lostNothing(t)

	// When all are gone, so is the group; it is back with the first of them.
	for _, s := range all {
		s.kill()
	}
	if err := read(t.Context()); err == nil {
		t.Error("a group without a server answers")
	}
	p.touch(t, "wardle")
	p.kubectl(t, "wait", "--for=condition=Available=False", "--timeout=60s", "apiservice/"+wardleService)
	// What it was is known all the same.
	if out := p.kubectl(t, "explain", "flunders.spec"); !strings.Contains(out, "reference") {
		t.Errorf("kubectl explain says %s", out)
	}
	var told struct{ APIServices []shownService }
	if out, err := p.runs("apiservices", "-o", "json", "--during", "100ms"); err != nil || json.Unmarshal([]byte(out), &told) != nil || !slices.ContainsFunc(told.APIServices, isDown) {
		t.Errorf("portico apiservices: %v %s, want one that is down", err, out)
	}
	time.Sleep(5 * time.Second)
	all[2].start(t)
	begin := time.Now()
	eventually(t, "the group answers", func() bool { return read(t.Context()) == nil })
	if took := time.Since(begin); took > recovery {
		t.Errorf("the group answers %v after one of its servers is ready", took)
	}
	meanwhile.lostNothing(t)
}

func isDown(a shownService) bool {
	return a.Name == wardleService && !a.Available && a.Reason == "FailedDiscoveryCheck" && strings.Contains(a.Message, "connection refused")
}

// Three unmodified servers are restarted one after another under load. One that is taken out of the service first costs no request at all,
// one that is just told to end costs no read.
func TestARollingRestartCostsNoRequest(t *testing.T) {
	t.Parallel()
	p := startPortico(t)
	all := startReplicas(t, p, 3)
	client := p.client(t)
	write := creating(client, p.url+flunders)
	readers := measure(t, "reads", 4, reading(client, p.url+flunders+"/my-first-flunder", "my-first-flunder"))
	writers := measure(t, "writes", 2, write)
	for i, s := range all {
		rest := append(append([]*sampleAPIServer{}, all[:i]...), all[i+1:]...)
		p.registerReplicas(t, rest)
		s.restart(t)
		p.registerReplicas(t, all)
	}
	writers.lostNothing(t)
	for _, s := range all {
		s.restart(t)
	}
	readers.lostNothing(t)
}

// creating makes an object and takes it away again.
func creating(client *http.Client, url string) func(ctx context.Context) error {
	const object = `{"apiVersion":"wardle.example.com/v1alpha1","kind":"Flunder","metadata":{"name":%q}}`
	var made atomic.Int64
	return func(ctx context.Context) error {
		name := fmt.Sprint("made-", made.Add(1))
		if err := exchange(ctx, client, http.MethodPost, url, fmt.Sprintf(object, name), http.StatusCreated, name); err != nil {
			return fmt.Errorf("creating %s: %w", name, err)
		}
		if err := exchange(ctx, client, http.MethodDelete, url+"/"+name, "", http.StatusOK, ""); err != nil {
			return fmt.Errorf("deleting %s: %w", name, err)
		}
		return nil
	}
}
