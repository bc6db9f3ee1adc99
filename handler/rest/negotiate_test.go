package rest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/portico-api/portico/handler/rest"
)

const (
	json, yaml, protobuf   = 0, 1, 2
	object, table, partial = 0, 1, 2
)

func TestAcceptIsUnderstood(t *testing.T) {
	const params = ";g=meta.k8s.io;v=v1"
	tests := []struct {
		name   string
		accept string
		list   bool
		format int
		shape  int
		ok     bool
	}{
		{"nothing", "", false, json, object, true},
		{"anything", "*/*", false, json, object, true},
		{"kubectl get --raw", "application/json, */*", false, json, object, true},
		{"a typed client", "application/vnd.kubernetes.protobuf,application/json", false, protobuf, object, true},
		{"kubectl get", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", true, json, table, true},
		{"a metadata client's list", "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList" + params + ",application/json", true, protobuf, partial, true},
		{"a metadata client's get", "application/json;as=PartialObjectMetadata" + params, false, json, partial, true},
		{"the list kind for one object", "application/json;as=PartialObjectMetadataList" + params, false, 0, 0, false},
		{"the object kind for a list", "application/json;as=PartialObjectMetadata" + params, true, 0, 0, false},
		{"an unknown shape and then none", "application/json;as=Chart" + params + ",application/json", false, json, object, true},
		{"a Table of another group", "application/json;as=Table;g=example.com;v=v1", true, 0, 0, false},
		{"a Table in protobuf", "application/vnd.kubernetes.protobuf;as=Table" + params, true, 0, 0, false},
		{"a Table in YAML", "application/yaml;as=Table" + params, true, yaml, table, true},
		{"the better quality", "application/json;q=0.5,application/yaml;q=0.8", false, yaml, object, true},
		{"the more specific of equals", "*/*,application/yaml", false, yaml, object, true},
		{"the first of equals", "application/yaml,application/json", false, yaml, object, true},
		{"what is not wanted", "application/json;q=0", false, 0, 0, false},
		{"a quality that is none", "application/yaml;q=x", false, yaml, object, true},
		{"a stream parameter", "application/json;stream=watch", false, json, object, true},
		{"upper case", "Application/JSON;Q=0.9", false, json, object, true},
		{"a browser", "text/html,application/xhtml+xml,*/*;q=0.8", false, json, object, true},
		{"a family", "application/*", false, 0, 0, false},
		{"what we do not speak", "text/html", false, 0, 0, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			format, shape, ok := rest.Accepted(test.accept, test.list)
			if ok != test.ok || ok && (format != test.format || shape != test.shape) {
				t.Errorf("%q: got %d, %d, %t; want %d, %d, %t", test.accept, format, shape, ok, test.format, test.shape, test.ok)
			}
		})
	}
}

func BenchmarkAccept(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		rest.Accepted("application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", true)
	}
}

func TestGzipIsAccepted(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "deflate, gzip;q=0.5": true, "gzip;q=0": false, "identity": false, "br;q=1.0, gzip;q=0.8, *;q=0.1": true,
	} {
		if got := rest.AcceptsGzip(&http.Request{Header: http.Header{"Accept-Encoding": {header}}}); got != want {
			t.Errorf("Accept-Encoding %q: got %t, want %t", header, got, want)
		}
	}
}

func TestAManagerIsNamedAfterItsProgram(t *testing.T) {
	for agent, want := range map[string]string{
		"kubectl/v1.36.6 (linux/amd64)": "kubectl", "": "", "curl\x01/8": "curl", strings.Repeat("ä", 100): strings.Repeat("ä", 64),
	} {
		if got := rest.ManagerFromAgent(agent); got != want {
			t.Errorf("%q: got %q, want %q", agent, got, want)
		}
	}
}
