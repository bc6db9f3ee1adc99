package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/portico-api/portico/test/rig"
)

const (
	replicas      = 3
	samples       = 50
	streamsOfOne  = 200 // watches on one connection of a client
	aggregated    = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
	settlePatient = 5 * time.Minute
)

// measureAPIServices prints what many servers behind the front door cost, and what many watches on them cost.
func measureAPIServices(binary string, count, watches int, http1 bool, idle time.Duration) error {
	dir, err := os.MkdirTemp("", "portico-measure-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	everything, port, err := startEverything(http1)
	if err != nil {
		return err
	}
	p, _, err := rig.StartPortico(binary, dir)
	if err == nil {
		err = errors.Join(measureFront(p, dir, port, count, watches, idle), p.Stop())
	}
	for _, s := range everything { // after their client has gone
		s.CloseClientConnections()
		s.Close()
	}
	return err
}

func measureFront(p *rig.Process, dir string, port int32, count, watches int, idle time.Duration) error {
	door, err := rig.Open(p.URL, dir)
	if err != nil {
		return err
	}
	defer door.Close()
	ctx := context.Background()
	if err := register(ctx, door, 0, 1, port); err != nil {
		return err
	}
	time.Sleep(idle)
	before := p.AnonymousMemory()
	alone, err := median(func() error { return door.WaitFor(ctx, thingsOf(0)) })
	if err != nil {
		return err
	}

	begin, busy, own := time.Now(), p.CPU(), ownCPU()
	if err := register(ctx, door, 1, count, port); err != nil {
		return err
	}
	fmt.Printf("%d APIServices with %d endpoints each, their Services and EndpointSlices: all available after %.1f s, %.1f s of CPU and %.1f s of its clients and backends\n",
		count, replicas, time.Since(begin).Seconds(), (p.CPU() - busy).Seconds(), (ownCPU() - own).Seconds())
	time.Sleep(idle)
	fmt.Printf("memory after %v idle: %.0f MB, %.0f MB before: %.1f KB each\n", idle, p.AnonymousMemory(), before, 1000*(p.AnonymousMemory()-before)/float64(count))
	among, err := median(func() error { return door.WaitFor(ctx, thingsOf(count/2)) })
	if err != nil {
		return err
	}
	fmt.Printf("a request to one of them: %v, %v when it was alone\n", among, alone)
	if err := timeDiscovery(ctx, door); err != nil {
		return err
	}
	if watches == 0 {
		return nil
	}
	return measureWatches(ctx, p, door, count, watches, idle)
}

func timeDiscovery(ctx context.Context, door *rig.Door) error {
	for what, accept := range map[string]string{"aggregated discovery": aggregated, "the list of groups": "application/json"} {
		size := 0
		took, err := median(func() error {
			body, err := door.Read(ctx, "/apis", accept)
			size = len(body)
			return err
		})
		if err != nil {
			return err
		}
		fmt.Printf("%s: %v, %d KB\n", what, took, size/1000)
	}
	return nil
}

// measureWatches opens watches on all groups in turn, many of them on each connection, and prints what each costs the front door.
func measureWatches(ctx context.Context, p *rig.Process, door *rig.Door, count, watches int, idle time.Duration) error {
	before := p.AnonymousMemory()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var clients []*rig.Door
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	for range (watches + streamsOfOne - 1) / streamsOfOne {
		c, err := rig.Open(p.URL, door.DataDir)
		if err != nil {
			return err
		}
		clients = append(clients, c)
	}
	begin := time.Now()
	err := each(watches, func(i int) error {
		stream, err := clients[i/streamsOfOne].Stream(ctx, thingsOf(i%count)+"?watch=true")
		if err != nil {
			return err
		}
		_, err = io.ReadFull(stream, make([]byte, len(event)))
		return err
	})
	if err != nil {
		return fmt.Errorf("opening watches: %w", err)
	}
	fmt.Printf("%d watches on %d connections open after %.1f s\n", watches, len(clients), time.Since(begin).Seconds())
	time.Sleep(idle)
	fmt.Printf("memory with them: %.0f MB, %.0f MB before: %.1f KB each\n", p.AnonymousMemory(), before, 1000*(p.AnonymousMemory()-before)/float64(watches))
	return nil
}

const event = `{"type":"ADDED","object":{"kind":"Thing","metadata":{"name":"one"}}}` + "\n"

// startEverything starts servers of every group on several addresses and one port. They have both protocols, as API servers do, or HTTP/1.1 alone.
func startEverything(http1 bool) (all []*httptest.Server, port int32, err error) {
	document := openAPIOfThings()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serveThings(w, r, document) })
	for i := range replicas {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:%d", i+1, port))
		if err != nil {
			return nil, 0, err
		}
		port = int32(listener.Addr().(*net.TCPAddr).Port)
		s := httptest.NewUnstartedServer(handler)
		s.Listener.Close()
		s.Listener, s.Config.ErrorLog = listener, log.New(io.Discard, "", 0)
		if !http1 {
			s.EnableHTTP2 = true
			s.TLS = &tls.Config{NextProtos: []string{"h2", "http/1.1"}}
		}
		s.StartTLS()
		all = append(all, s)
	}
	return all, port, nil
}

func serveThings(w http.ResponseWriter, r *http.Request, document string) {
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path == "/openapi/v3":
		service, _, _ := strings.Cut(r.TLS.ServerName, ".") // who of all that are served here is meant
		fmt.Fprintf(w, `{"paths":{"apis/%s.example.com/v1":{"serverRelativeURL":"/openapi/v3/apis/%[1]s.example.com/v1?hash=1"}}}`, service)
	case strings.HasPrefix(r.URL.Path, "/openapi/v3/"):
		io.WriteString(w, document)
	case len(path) == 3 && path[0] == "apis":
		fmt.Fprintf(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"%s/%s","resources":[`+
			`{"name":"things","singularName":"thing","namespaced":false,"kind":"Thing","verbs":["create","delete","get","list","watch"]},`+
			`{"name":"things/status","singularName":"","namespaced":false,"kind":"Thing","verbs":["get","patch","update"]}]}`, path[1], path[2])
	case r.URL.Query().Get("watch") != "":
		io.WriteString(w, event)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	case len(path) == 4:
		io.WriteString(w, `{"kind":"ThingList","metadata":{},"items":[]}`)
	default:
		http.NotFound(w, r)
	}
}

// openAPIOfThings is about 30 KB, as that of a server of one kind.
func openAPIOfThings() string {
	var fields []string
	for i := range schemaFields {
		fields = append(fields, fmt.Sprintf(`"field%d":{"type":"string","description":%q}`, i, strings.Repeat(fmt.Sprint("Field ", i, " has a meaning. "), 6)))
	}
	return `{"openapi":"3.0.0","info":{"title":"things","version":"1"},"paths":{},"components":{"schemas":{"Thing":{"type":"object","properties":{` + strings.Join(fields, ",") + `}}}}}`
}

func groupNumber(i int) string { return fmt.Sprintf("t%d.example.com", i) }
func thingsOf(i int) string    { return "/apis/" + groupNumber(i) + "/v1/things" }

// register registers the groups from first to last and waits until all are available.
func register(ctx context.Context, door *rig.Door, first, last int, port int32) error {
	err := each(last-first, func(n int) error { return registerOne(ctx, door, first+n, port) })
	if err != nil {
		return err
	}
	for begin := time.Now(); time.Since(begin) < settlePatient; time.Sleep(200 * time.Millisecond) {
		list, err := door.Read(ctx, "/apis/apiregistration.k8s.io/v1/apiservices", "application/json")
		if err != nil {
			return err
		}
		if bytes.Count(list, []byte(`"reason":"Passed"`)) == last {
			return nil
		}
	}
	return errors.New("waiting in vain for all APIServices to be available")
}

func registerOne(ctx context.Context, door *rig.Door, i int, port int32) error {
	name, https := fmt.Sprint("t", i), "https"
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &https, Port: &port}},
	}
	for r := range replicas {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("127.0.0.%d", r+1)}})
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: https, Port: 443}}}}
	if err := door.Create(ctx, "/api/v1/namespaces/default/services", service); err != nil {
		return err
	}
	if err := door.Create(ctx, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice); err != nil {
		return err
	}
	return door.Create(ctx, "/apis/apiregistration.k8s.io/v1/apiservices", &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: "v1." + groupNumber(i)},
		Spec: apiregistrationv1.APIServiceSpec{
			Group: groupNumber(i), Version: "v1", GroupPriorityMinimum: 1000, VersionPriority: 10, InsecureSkipTLSVerify: true,
			Service: &apiregistrationv1.ServiceReference{Namespace: "default", Name: name},
		},
	})
}

// ownCPU is what this process, who is all clients and all backends, has computed so far.
func ownCPU() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// median is the time that something takes.
func median(do func() error) (time.Duration, error) {
	var all []time.Duration
	for range samples {
		begin := time.Now()
		if err := do(); err != nil {
			return 0, err
		}
		all = append(all, time.Since(begin))
	}
	slices.Sort(all)
	return all[len(all)/2].Round(10 * time.Microsecond), nil
}
