package core_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/portico-api/portico/delegation/core"
	"github.com/portico-api/portico/delegation/registry"
)

// write is one object as a client writes it, and the field paths that must be refused. A path in
// want may be followed by ": " and a part of the message.
type write struct {
	name     string
	resource string
	old      string // YAML; an update when set
	object   string // YAML
	want     []string
}

func decode(t *testing.T, r registry.Resource, text string) runtime.Object {
	t.Helper()
	obj := r.New()
	if err := yaml.UnmarshalStrict([]byte(text), obj); err != nil {
		t.Fatalf("decoding %s: %v\n%s", r.Name, err, text)
	}
	return obj
}

// prepare does what the registry does before it validates.
func prepare(t *testing.T, r registry.Resource, text string) runtime.Object {
	t.Helper()
	obj := decode(t, r, text)
	if r.Strategy.Default != nil {
		r.Strategy.Default(obj)
	}
	if r.Strategy.PrepareForCreate != nil {
		r.Strategy.PrepareForCreate(context.Background(), obj)
	}
	return obj
}

func check(t *testing.T, w write) field.ErrorList {
	t.Helper()
	ctx := context.Background()
	r, ok := core.DeclaredResources()[w.resource]
	if !ok {
		t.Fatalf("no resource %q", w.resource)
	}
	if w.old == "" {
		return r.Strategy.Validate(ctx, prepare(t, r, w.object))
	}
	old, obj := prepare(t, r, w.old), decode(t, r, w.object)
	if r.Strategy.Default != nil {
		r.Strategy.Default(obj)
	}
	if r.Strategy.PrepareForUpdate != nil {
		r.Strategy.PrepareForUpdate(ctx, obj, old)
	}
	errs := r.Strategy.Validate(ctx, obj)
	if r.Strategy.ValidateUpdate != nil {
		errs = append(errs, r.Strategy.ValidateUpdate(ctx, obj, old)...)
	}
	return errs
}

func runWrites(t *testing.T, writes []write) {
	t.Helper()
	for _, w := range writes {
		t.Run(w.resource+"/"+w.name, func(t *testing.T) {
			errs := check(t, w)
			var got []string
			for _, err := range errs {
				got = append(got, err.Field)
			}
			var want []string
			for _, expected := range w.want {
				path, message, _ := strings.Cut(expected, ": ")
				want = append(want, path)
				if !slices.ContainsFunc(errs, func(err *field.Error) bool { return err.Field == path && strings.Contains(err.Error(), message) }) {
					t.Errorf("no error at %s with %q", path, message)
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("refused %q, want %q\nerrors: %v\nobject:\n%s", got, want, errs, w.object)
			}
		})
	}
}

func TestDataKindsGuardWhatIsStored(t *testing.T) {
	runWrites(t, []write{
		{name: "usual keys are accepted", resource: "configmaps", object: "data: {a.b-c_D: x}\nbinaryData: {e: AAA=}"},
		{name: "a key must be a file name", resource: "configmaps", object: "data: {'a b': x}\nbinaryData: {'..': AAA=}",
			want: []string{"data[a b]", "binaryData[..]"}},
		{name: "a key is in one of data and binaryData", resource: "configmaps", object: "data: {a: x}\nbinaryData: {a: AAA=}",
			want: []string{"data[a]: duplicate"}},
		{name: "data is bounded", resource: "configmaps", object: "data: {a: " + strings.Repeat("x", 1<<20+1) + "}", want: []string{"data: Too long"}},
		{name: "immutable freezes data", resource: "configmaps", old: "immutable: true\ndata: {a: x}", object: "immutable: true\ndata: {a: y}",
			want: []string{"data: immutable"}},
		{name: "immutable freezes binaryData", resource: "configmaps", old: "immutable: true\nbinaryData: {a: AAA=}", object: "immutable: true",
			want: []string{"binaryData: immutable"}},
		{name: "immutable stays", resource: "configmaps", old: "immutable: true\ndata: {a: x}", object: "data: {a: x}", want: []string{"immutable"}},
		{name: "what is mutable changes", resource: "configmaps", old: "data: {a: x}", object: "immutable: true\ndata: {a: y}"},

		{name: "stringData is data", resource: "secrets", object: "type: kubernetes.io/tls\nstringData: {tls.crt: a, tls.key: b}"},
		{name: "tls secrets have both halves", resource: "secrets", object: "type: kubernetes.io/tls\ndata: {tls.crt: AAA=}", want: []string{"data[tls.key]"}},
		{name: "the type is for life", resource: "secrets", old: "type: a", object: "type: b", want: []string{"type: immutable"}},
		{name: "immutable freezes data", resource: "secrets", old: "immutable: true\nstringData: {a: x}", object: "immutable: true\nstringData: {a: y}",
			want: []string{"data: immutable"}},
		{name: "docker configs are JSON", resource: "secrets", object: "type: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: '['}",
			want: []string{"data[.dockerconfigjson]: JSON"}},
		{name: "basic-auth has a user or a password", resource: "secrets", object: "type: kubernetes.io/basic-auth",
			want: []string{"data[username]", "data[password]"}},
		{name: "ssh-auth has a key", resource: "secrets", object: "type: kubernetes.io/ssh-auth\nstringData: {ssh-privatekey: ''}", want: []string{"data[ssh-privatekey]"}},
		{name: "tokens name their account", resource: "secrets", object: "type: kubernetes.io/service-account-token",
			want: []string{"metadata.annotations[kubernetes.io/service-account.name]"}},
		{name: "keys are file names", resource: "secrets", object: "data: {'a/b': AAA=}", want: []string{"data[a/b]"}},

		{name: "secrets are of its own namespace", resource: "serviceaccounts", object: "metadata: {namespace: a}\nsecrets: [{name: x, namespace: b}]",
			want: []string{"secrets[0].namespace"}},
	})
}

func TestNetworkKindsGuardWhatIsConnectedTo(t *testing.T) {
	runWrites(t, []write{
		{name: "a selector-less service is accepted", resource: "services", object: "spec: {ports: [{port: 443}]}"},
		{name: "a service without ports is headless", resource: "services", object: "spec: {}"},
		{name: "an address needs ports", resource: "services", object: "spec: {clusterIP: 10.0.0.1}", want: []string{"spec.ports"}},
		{name: "ports are numbers of ports", resource: "services", object: "spec: {ports: [{port: 0, targetPort: 70000}]}",
			want: []string{"spec.ports[0].port", "spec.ports[0].targetPort"}},
		{name: "several ports have names", resource: "services", object: "spec: {ports: [{port: 1, name: a}, {port: 2}]}", want: []string{"spec.ports[1].name: Required"}},
		{name: "port names differ", resource: "services", object: "spec: {ports: [{port: 1, name: a}, {port: 2, name: a}]}", want: []string{"spec.ports[1].name: Duplicate"}},
		{name: "ports differ", resource: "services", object: "spec: {ports: [{port: 1, name: a}, {port: 1, name: b}]}", want: []string{"spec.ports[1]: Duplicate"}},
		{name: "the same number differs by protocol", resource: "services", object: "spec: {ports: [{port: 53, name: a}, {port: 53, name: b, protocol: UDP}]}"},
		{name: "protocols are known", resource: "services", object: "spec: {ports: [{port: 1, protocol: HTTP}]}", want: []string{"spec.ports[0].protocol"}},
		{name: "types are known", resource: "services", object: "spec: {type: Other, ports: [{port: 1}]}", want: []string{"spec.type"}},
		{name: "affinities are known", resource: "services", object: "spec: {sessionAffinity: Node, ports: [{port: 1}]}", want: []string{"spec.sessionAffinity"}},
		{name: "an address is an IP", resource: "services", object: "spec: {clusterIP: nowhere, ports: [{port: 1}]}", want: []string{"spec.clusterIPs[0]"}},
		{name: "a node port is not headless", resource: "services", object: "spec: {type: NodePort, clusterIP: None, ports: [{port: 1}]}", want: []string{"spec.clusterIPs[0]: None"}},
		{name: "an external name is one", resource: "services", object: "spec: {type: ExternalName, externalName: 'a b'}", want: []string{"spec.externalName"}},
		{name: "an external name is required", resource: "services", object: "spec: {type: ExternalName}", want: []string{"spec.externalName: Required"}},
		{name: "an external name may end in a dot", resource: "services", object: "spec: {type: ExternalName, externalName: example.com.}"},
		{name: "an address is for life", resource: "services", old: "spec: {clusterIP: 10.0.0.1, ports: [{port: 1}]}", object: "spec: {clusterIP: 10.0.0.2, ports: [{port: 1}]}",
			want: []string{"spec.clusterIPs[0]: may not change"}},
		{name: "an address that is not sent stays", resource: "services", old: "spec: {clusterIP: 10.0.0.1, ports: [{port: 1}]}", object: "spec: {ports: [{port: 2}]}"},
		{name: "headless is for life", resource: "services", old: "spec: {ports: [{port: 1}]}", object: "spec: {clusterIP: 10.0.0.2, ports: [{port: 1}]}",
			want: []string{"spec.clusterIPs[0]: may not change"}},
		{name: "a service may become an external name", resource: "services", old: "spec: {clusterIP: 10.0.0.1, ports: [{port: 1}]}",
			object: "spec: {type: ExternalName, externalName: example.com, clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1]}"},
		{name: "a headless service may become a node port", resource: "services", old: "spec: {ports: [{port: 1}]}", object: "spec: {type: NodePort, ports: [{port: 1}]}"},
		{name: "and carry along that it was headless", resource: "services", old: "spec: {ports: [{port: 1}]}", object: "spec: {type: NodePort, clusterIP: None, clusterIPs: [None], ports: [{port: 1}]}"},

		{name: "loopback is allowed", resource: "endpoints", object: "subsets: [{addresses: [{ip: 127.0.0.1}], ports: [{port: 1}]}]"},
		{name: "a subset has addresses", resource: "endpoints", object: "subsets: [{ports: [{port: 1}]}]", want: []string{"subsets[0]: Required"}},
		{name: "addresses are reachable IPs", resource: "endpoints",
			object: "subsets: [{addresses: [{ip: x}, {ip: 0.0.0.0}, {ip: 169.254.0.1}], notReadyAddresses: [{ip: 224.0.0.1}]}]",
			want: []string{"subsets[0].addresses[0].ip", "subsets[0].addresses[1].ip: unspecified", "subsets[0].addresses[2].ip: link-local",
				"subsets[0].notReadyAddresses[0].ip: multicast"}},
		{name: "several ports have names", resource: "endpoints", object: "subsets: [{addresses: [{ip: 10.0.0.1}], ports: [{port: 1}, {port: 2, name: b}]}]",
			want: []string{"subsets[0].ports[0].name: Required"}},

		{name: "loopback is allowed", resource: "endpointslices", object: "addressType: IPv4\nendpoints: [{addresses: [127.0.0.1]}]\nports: [{port: 1}]"},
		{name: "the address type is required", resource: "endpointslices", object: "endpoints: []", want: []string{"addressType: Required"}},
		{name: "the address type is known", resource: "endpointslices", object: "addressType: MAC", want: []string{"addressType: Unsupported"}},
		{name: "the address type is for life", resource: "endpointslices", old: "addressType: IPv4", object: "addressType: IPv6", want: []string{"addressType: immutable"}},
		{name: "addresses are of the type", resource: "endpointslices", object: "addressType: IPv6\nendpoints: [{addresses: [10.0.0.1]}]", want: []string{"endpoints[0].addresses[0]"}},
		{name: "names are full", resource: "endpointslices", object: "addressType: FQDN\nendpoints: [{addresses: [single]}]", want: []string{"endpoints[0].addresses[0]"}},
		{name: "an endpoint has addresses", resource: "endpointslices", object: "addressType: IPv4\nendpoints: [{addresses: []}]", want: []string{"endpoints[0].addresses: Required"}},
		{name: "port names differ", resource: "endpointslices", object: "addressType: IPv4\nports: [{port: 1}, {port: 2}]", want: []string{"ports[1].name: Duplicate"}},
		{name: "ports may be open", resource: "endpointslices", object: "addressType: IPv4\nports: [{name: any}]"},
	})
}

func TestSmallKindsGuardTheirPromises(t *testing.T) {
	runWrites(t, []write{
		{name: "durations are positive", resource: "leases", object: "spec: {leaseDurationSeconds: 0, leaseTransitions: -1}",
			want: []string{"spec.leaseDurationSeconds", "spec.leaseTransitions"}},
		{name: "a usual lease is accepted", resource: "leases", object: "spec: {holderIdentity: a, leaseDurationSeconds: 15, leaseTransitions: 0}"},
		{name: "a preferred holder needs a strategy", resource: "leases", object: "spec: {preferredHolder: a}", want: []string{"spec.preferredHolder"}},

		{name: "an event is where its object is", resource: "events", object: "metadata: {namespace: a}\ninvolvedObject: {namespace: b}", want: []string{"involvedObject.namespace"}},
		{name: "an event of a cluster object is in default", resource: "events", object: "metadata: {namespace: default}\ninvolvedObject: {kind: APIService}"},
		{name: "an event of a cluster object is nowhere else", resource: "events", object: "metadata: {namespace: a}\ninvolvedObject: {kind: APIService}", want: []string{"involvedObject.namespace"}},
		{name: "an event with an eventTime says who reports what", resource: "events",
			object: "metadata: {namespace: default}\ninvolvedObject: {}\neventTime: 2026-11-23T00:00:00.000000Z",
			want:   []string{"reportingComponent", "reportingInstance", "action", "reason"}},

		{name: "finalizers are qualified", resource: "namespaces", object: "spec: {finalizers: [other, a.example/b]}", want: []string{"spec.finalizers[0]: qualified"}},
	})
}
