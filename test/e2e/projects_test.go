package e2e

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/portico-api/portico/test/rig"
)

// project is somebody's definitions, in a folder of a module, and an object of each kind in testdata/projects.
type project struct {
	module, folder string
	objects        string
	groups         *regexp.Regexp
	use            func(t *testing.T, p *portico) // what people do with it besides
}

var projects = map[string]project{
	"cert-manager": {
		module: rig.CertManager, folder: "deploy/crds", objects: "cert-manager.yaml",
		groups: regexp.MustCompile(`(^|\.)cert-manager\.io$`), use: useCertManager,
	},
	"Prometheus operator": {
		module: rig.PrometheusOperator, folder: "example/prometheus-operator-crd", objects: "prometheus-operator.yaml",
		groups: regexp.MustCompile(`^monitoring\.coreos\.com$`), use: usePrometheusOperator,
	},
	"Gateway API": {
		module: rig.GatewayAPI, folder: "config/crd/experimental", objects: "gateway-api.yaml",
		groups: regexp.MustCompile(`^gateway\.networking\.(x-)?k8s\.io$`), use: useGatewayAPI,
	},
}

// The definitions of projects that people run are installed whole, as they were published, and each of their kinds is created, listed,
// explained and deleted by kubectl.
func TestTheDefinitionsOfProjectsAreServedWhole(t *testing.T) {
	t.Parallel() // among the longest
	p := startPortico(t)
	for name, project := range projects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			project.test(t, p)
		})
	}
}

func (pr project) test(t *testing.T, p *portico) {
	dir, err := rig.ModuleDir(pr.module)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pr.folder), "*.*_*.yaml")) // and no kustomization
	if err != nil {
		t.Fatal(err)
	}
	// Server-side, because the annotation of a client-side apply has no room for the largest.
	apply := []string{"apply", "--server-side"}
	for _, file := range files {
		apply = append(apply, "-f", file)
	}
	p.kubectl(t, apply...)
	definitions := pr.definitions(t, p)
	wait := []string{"wait", "--for=condition=Established", "--timeout=60s"}
	for _, d := range definitions {
		wait = append(wait, "crd/"+d.Name)
	}
	p.kubectl(t, wait...)

	objects := filepath.Join("testdata", "projects", pr.objects)
	p.kubectl(t, "create", "-f", objects)
	lists(t, p, definitions)
	for _, d := range definitions {
		explains(t, p, d)
	}
	pr.use(t, p)
	p.kubectl(t, "delete", "-f", objects, "--timeout=60s")
	for _, d := range definitions {
		if out := p.kubectl(t, "get", d.Name, "-A", "-o", "name"); out != "" {
			t.Errorf("left: %s", out)
		}
	}
}

// definitions are the project's, as they are stored.
func (pr project) definitions(t *testing.T, p *portico) []apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	var list apiextensionsv1.CustomResourceDefinitionList
	if err := json.Unmarshal([]byte(p.kubectl(t, "get", "crd", "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	list.Items = slices.DeleteFunc(list.Items, func(d apiextensionsv1.CustomResourceDefinition) bool {
		return !pr.groups.MatchString(d.Spec.Group)
	})
	if len(list.Items) < 5 {
		t.Fatalf("only %d definitions", len(list.Items))
	}
	return list.Items
}

// lists checks that kubectl prints the one object of each kind in every version, below the columns that its definition names, and is warned of
// versions that are deprecated.
func lists(t *testing.T, p *portico, definitions []apiextensionsv1.CustomResourceDefinition) {
	t.Helper()
	var resources, columns []string
	deprecated := 0
	for _, d := range definitions {
		for _, version := range d.Spec.Versions {
			if !version.Served {
				continue
			}
			resources = append(resources, d.Spec.Names.Plural+"."+version.Name+"."+d.Spec.Group)
			header := "NAME"
			for _, column := range version.AdditionalPrinterColumns {
				header += " " + strings.ToUpper(column.Name)
			}
			if header == "NAME" {
				header += " AGE"
			}
			columns = append(columns, header)
			if version.Deprecated {
				deprecated++
			}
		}
	}
	out, errs, err := p.tryKubectl(t, "", "get", strings.Join(resources, ","), "-o", "wide")
	tables := strings.Split(strings.TrimSpace(out), "\n\n")
	if err != nil || len(tables) != len(resources) {
		t.Fatalf("kubectl get %v: %v %s%s", resources, err, out, errs)
	}
	for i, table := range tables {
		header, row, _ := strings.Cut(table, "\n")
		if got := strings.Join(strings.Fields(header), " "); got != columns[i] || row == "" || strings.Contains(row, "\n") {
			t.Errorf("kubectl get %s: got\n%s\nwant columns %s", resources[i], table, columns[i])
		}
	}
	if got := strings.Count(errs, "Warning: "); got != deprecated {
		t.Errorf("%d warnings, want %d: %s", got, deprecated, errs)
	}
}

// explains checks that kubectl finds the fields of the spec, with their types.
func explains(t *testing.T, p *portico, d apiextensionsv1.CustomResourceDefinition) {
	t.Helper()
	stored := d.Spec.Versions[slices.IndexFunc(d.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Storage })]
	out, errs, err := p.tryKubectl(t, "", "explain", d.Spec.Names.Plural+".spec", "--api-version="+d.Spec.Group+"/"+stored.Name)
	if err != nil {
		t.Errorf("kubectl explain %s: %v %s", d.Name, err, errs)
		return
	}
	types := map[string]string{"object": "<Object>", "array": "<[]", "string": "<string>", "boolean": "<boolean>", "integer": "<integer>"}
	for name, field := range stored.Schema.OpenAPIV3Schema.Properties["spec"].Properties {
		want := types[field.Type]
		switch {
		case field.AdditionalProperties != nil:
			want = "<map["
		case len(field.Enum) > 0:
			want = "<" // what kubectl calls it is its own affair
		}
		if !regexp.MustCompile(`(?m)^  ` + regexp.QuoteMeta(name) + `\t+` + regexp.QuoteMeta(want)).MatchString(out) {
			t.Errorf("kubectl explain %s: no %s %s in\n%s", d.Name, name, want, tail(out, 2000))
		}
	}
}

// refuses runs kubectl on an object that must not be taken.
func refuses(t *testing.T, p *portico, want, object string, args ...string) {
	t.Helper()
	if _, errs, err := p.tryKubectl(t, object, args...); err == nil || !strings.Contains(errs, want) {
		t.Errorf("kubectl %s: got %v %s\nwant in it %s", strings.Join(args, " "), err, tail(errs, 1500), want)
	}
}

// says runs kubectl and looks for something in what it prints.
func says(t *testing.T, p *portico, want string, args ...string) {
	t.Helper()
	if out := p.kubectl(t, args...); !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
		t.Errorf("kubectl %s: got %s, want in it %s", strings.Join(args, " "), out, want)
	}
}

// useCertManager does what its controller does to a certificate, and looks for it as people do.
func useCertManager(t *testing.T, p *portico) {
	p.kubectl(t, "patch", "certificate", "front", "--subresource=status", "--type=merge", "-p",
		`{"status":{"conditions":[{"type":"Ready","status":"True","message":"it is valid"}],"notAfter":"2031-01-01T00:00:00Z"}}`)
	p.kubectl(t, "wait", "--for=condition=Ready", "cert/front", "--timeout=60s")
	says(t, p, "front True front-tls letters it is valid", "get", "certs", "-o", "wide")
	says(t, p, "certificate.cert-manager.io/front", "get", "cert-manager", "-o", "name")
	says(t, p, "front-1", "get", "cr", "--field-selector", "spec.issuerRef.kind=ClusterIssuer", "-o", "name")
	if out := p.kubectl(t, "get", "cr", "--field-selector", "spec.issuerRef.kind=Issuer", "-o", "name"); out != "" {
		t.Errorf("selected: %s", out)
	}
	refuses(t, p, `spec.usages[0]: Unsupported value: "flying"`, "", "patch", "certificate", "front", "--type=merge", "-p", `{"spec":{"usages":["flying"]}}`)
	refuses(t, p, "spec.secretName: Required value", "", "patch", "certificate", "front", "--type=merge", "-p", `{"spec":{"secretName":null}}`)
}

// usePrometheusOperator scales what can be scaled.
func usePrometheusOperator(t *testing.T, p *portico) {
	p.kubectl(t, "scale", "prometheus/main", "--replicas=5")
	says(t, p, `2 5`, "get", "prometheus", "main", "-o", "jsonpath={.spec.replicas} {.spec.shards}") // it is shards that are scaled
	p.kubectl(t, "patch", "prometheus", "main", "--subresource=status", "--type=merge", "-p",
		`{"status":{"paused":false,"replicas":10,"updatedReplicas":10,"availableReplicas":10,"unavailableReplicas":0,"shards":5,"selector":"app=main"}}`)
	says(t, p, "5 app=main", "get", "prometheus", "main", "--subresource=scale", "-o", "jsonpath={.status.replicas} {.status.selector}")
	says(t, p, `"evaluationInterval":"30s"`, "get", "prom", "main", "-o", "jsonpath={.spec}") // by default
	refuses(t, p, "shards cannot be greater than 1 when mode is DaemonSet", "", "scale", "promagent/agent", "--replicas=2")
	refuses(t, p, "spec.endpoints[0].interval: Invalid value", "", "patch", "smon", "web", "--type=json", "-p", `[{"op":"replace","path":"/spec/endpoints/0/interval","value":"soon"}]`)
	says(t, p, `"expr":1,"record":"doors"`, "get", "promrule", "rules", "-o", "jsonpath={.spec.groups[0].rules[1]}") // a number or a string
}

// useGatewayAPI tries what its rules forbid, changes the channel, and changes it back, which a policy that comes with the definitions forbids.
func useGatewayAPI(t *testing.T, p *portico) {
	says(t, p, `{"path":{"type":"PathPrefix","value":"/"}}`, "get", "httproute", "shop", "-o", "jsonpath={.spec.rules[0].matches[0]}") // by default
	says(t, p, "Unknown", "get", "gc", "house")
	p.kubectl(t, "patch", "gc", "house", "--subresource=status", "--type=json", "-p", `[{"op":"replace","path":"/status/conditions/0/status","value":"True"}]`)
	p.kubectl(t, "wait", "--for=condition=Accepted", "gc/house", "--timeout=60s")
	refuses(t, p, "Value is immutable", "", "patch", "gc", "house", "--type=merge", "-p", `{"spec":{"controllerName":"example.com/other"}}`)
	refuses(t, p, "RequestRedirect filter must not be used together with backendRefs", "", "patch", "httproute", "shop", "--type=json", "-p",
		`[{"op":"add","path":"/spec/rules/0/filters","value":[{"type":"RequestRedirect","requestRedirect":{"statusCode":301}}]}]`)
	refuses(t, p, "tls must not be specified for protocols", "", "patch", "gateway", "front", "--type=json", "-p",
		`[{"op":"add","path":"/spec/listeners/0/tls","value":{"mode":"Terminate","certificateRefs":[{"name":"c"}]}}]`)
	refuses(t, p, "externalHostname must be set when type is ExternalHostname", "", "patch", "xbackend", "outside", "--type=merge", "-p", `{"spec":{"externalHostname":null}}`)
	says(t, p, "gateway.networking.k8s.io/v1beta1", "get", "gateways.v1beta1.gateway.networking.k8s.io", "front", "-o", "jsonpath={.apiVersion}")

	dir, err := rig.ModuleDir(rig.GatewayAPI)
	if err != nil {
		t.Fatal(err)
	}
	channel := func(name string) []string {
		return []string{"apply", "--server-side", "--force-conflicts", "-f", filepath.Join(dir, "config", "crd", name, "gateway.networking.k8s.io_httproutes.yaml")}
	}
	p.kubectl(t, channel("standard")...)
	refuses(t, p, "Installing experimental CRDs on top of standard channel CRDs is prohibited by default", "", channel("experimental")...)
	says(t, p, `["shop.example"]`, "get", "httproutes", "shop", "-o", "jsonpath={.spec.hostnames}") // what was stored is served by the new schema
}
