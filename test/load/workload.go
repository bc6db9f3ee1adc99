package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/portico-api/portico/test/rig"
)

// The fronts, in the order in which they are measured.
const (
	direct  = "direct"
	bare    = "bare"
	portico = "portico"
)

// workload is what the clients do.
type workload struct {
	name                 string
	fronts               []string
	http2                bool
	connections, streams int
	rate                 int // requests a second; 0 for as many as there can be

	request func(url string) (*http.Request, error)
	want    int // status
}

const (
	configMaps   = "/api/v1/namespaces/default/configmaps"
	storedMaps   = 1000
	createdMaps  = "/api/v1/namespaces/kube-public/configmaps" // so that the LIST stays as long as it is
	maxRequests  = 200000                                      // of one measurement
	requestAgent = "kubectl/v1.36.0"
)

func workloads() []workload {
	all, own := []string{direct, bare}, []string{portico}
	for _, p := range peers {
		all = append(all, p.name)
	}
	all = append(all, portico)
	created := new(atomic.Int64)
	ok := http.StatusOK
	return []workload{
		{name: "proxied GET 1.5 KB, HTTP/1.1", fronts: all, connections: 32, streams: 1, request: get(rig.ThingPath), want: ok},
		{name: "proxied GET 1.5 KB, HTTP/2", fronts: all, http2: true, connections: 4, streams: 32, request: get(rig.ThingPath), want: ok},
		{name: "proxied GET, 1500/s, HTTP/1.1", fronts: all, connections: 32, streams: 1, rate: 1500, request: get(rig.ThingPath), want: ok},
		{name: "proxied LIST 1 MB, HTTP/1.1", fronts: all, connections: 8, streams: 1, request: get(rig.ThingsPath), want: ok},
		{name: "proxied LIST 1 MB, HTTP/2", fronts: all, http2: true, connections: 2, streams: 4, request: get(rig.ThingsPath), want: ok},
		{name: "config map GET, HTTP/1.1", fronts: own, connections: 32, streams: 1, request: get(configMaps + "/stored-500"), want: ok},
		{name: "config map GET, HTTP/2", fronts: own, http2: true, connections: 4, streams: 32, request: get(configMaps + "/stored-500"), want: ok},
		{name: "config map LIST of 1000", fronts: own, connections: 8, streams: 1, request: get(configMaps), want: ok},
		{name: "config map create, 64 clients", fronts: own, connections: 64, streams: 1, want: http.StatusCreated,
			request: func(url string) (*http.Request, error) {
				return post(url+createdMaps, configMap(fmt.Sprintf("created-%d", created.Add(1))))
			}},
	}
}

func get(path string) func(url string) (*http.Request, error) {
	return func(url string) (*http.Request, error) { return newRequest(http.MethodGet, url+path, "") }
}

func post(url, body string) (*http.Request, error) {
	r, err := newRequest(http.MethodPost, url, body)
	if err == nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, err
}

func newRequest(method, url, body string) (*http.Request, error) {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err == nil {
		r.Header.Set("User-Agent", requestAgent)
		r.Header.Set("Accept", "application/json")
	}
	return r, err
}

// configMap is a config map of about 1.2 KB.
func configMap(name string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"labels":{"app":"load"}},"data":{"text":%q}}`,
		name, filler)
}

var filler = strings.Repeat("x", 1000)

// revisionOf is the resourceVersion in the JSON of one object.
func revisionOf(object []byte) string {
	_, after, _ := strings.Cut(string(object), `"resourceVersion":"`)
	revision, _, _ := strings.Cut(after, `"`)
	return revision
}
