package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTracingConfigurationIsKubeAPIServers(t *testing.T) {
	const head = "apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\n"
	for name, test := range map[string]struct{ content, wrong string }{
		"where to and how many":        {head + "endpoint: localhost:4317\nsamplingRatePerMillion: 100\n", ""},
		"nothing said":                 {head, ""},
		"an older version":             {strings.Replace(head, "/v1\n", "/v1beta1\n", 1), ""},
		"another kind":                 {strings.Replace(head, "Tracing", "Audit", 1), `kind is "AuditConfiguration", not TracingConfiguration`},
		"an unknown version":           {strings.Replace(head, "/v1\n", "/v7\n", 1), `apiVersion "apiserver.config.k8s.io/v7" is unknown`},
		"a field that is misspelled":   {head + "endpiont: localhost:4317\n", "endpiont"},
		"more than all":                {head + "samplingRatePerMillion: 1000001\n", "samplingRatePerMillion must be from 0 to 1000000, not 1000001"},
		"less than none":               {head + "samplingRatePerMillion: -1\n", "not -1"},
		"an address without its port":  {head + "endpoint: localhost\n", "endpoint must be host:port"},
		"something that is no YAML":    {"}", "reading"},
		"something that is no mapping": {"garbage\n", "tracing.yaml holds text, and a mapping is wanted"},
		"a rate that is no number":     {head + "samplingRatePerMillion: many\n", "tracing.yaml: samplingRatePerMillion must be a whole number"},
		"an endpoint that is a list":   {head + "endpoint: [a]\n", "endpoint must be text"},
		"one file with two of a field": {head + "endpoint: a:1\nendpoint: b:2\n", "endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "tracing.yaml")
			if err := os.WriteFile(file, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := readTracingConfiguration(file)
			if test.wrong == "" && err != nil {
				t.Errorf("got %v", err)
			}
			if test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)) {
				t.Errorf("got %v, want %q in it", err, test.wrong)
			}
		})
	}
}

func FuzzTracingConfiguration(f *testing.F) {
	f.Add([]byte("apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\nendpoint: localhost:4317\nsamplingRatePerMillion: 100\n"))
	f.Add([]byte("kind: {"))
	f.Fuzz(func(t *testing.T, content []byte) {
		file := filepath.Join(t.TempDir(), "tracing.yaml")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := readTracingConfiguration(file)
		if err == nil && c.sampler() == nil {
			t.Error("a configuration that is accepted samples nothing and everything")
		}
	})
}
