package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// portico trace tells for each path who serves it, and a request then finds it so.
func TestTraceTellsWhoServesAPath(t *testing.T) {
	t.Parallel()
	p := startPortico(t)
	p.kubectlIn(t, crontabDefinition, "apply", "-f", "-")
	p.kubectl(t, "wait", "--for=condition=Established", "crd/crontabs.stable.example.com")
	p.kubectl(t, "apply", "-f", "../../deploy/examples/wardle/rbac.yaml")
	sample := startSampleAPIServer(t, p.kubeconfigFor(t, "wardle-apiserver"))
	backend := fmt.Sprintf("https://127.0.0.1:%d", sample.port)
	if out, err := p.runs("register", "wardle.example.com/v1alpha1", "--backend", backend, "--insecure-skip-tls-verify", "--wait", "60s"); err != nil {
		t.Fatalf("registering: %v %s", err, out)
	}
	const flunders = "/apis/wardle.example.com/v1alpha1/namespaces/default/flunders"
	for _, c := range []struct {
		args string
		want []string // in this order
		code int      // of a GET by the administrator; 0 is not tried
	}{
		{"/api/v1/namespaces/default/configmaps", []string{"list", "resource configmaps, version v1, namespace default", "allowed", "kube-aggregator director", "APIService v1.", "it is local", "kube-apiserver router", "answers", "/configmaps"}, 200},
		{"/apis/stable.example.com/v1/crontabs", []string{"kube-apiserver mux", "next delegate", "custom resources", "answers", "CustomResourceDefinition crontabs.stable.example.com serves v1"}, 200},
		{"/apis/stable.example.com/v1/nothings", []string{"custom resources", "no CustomResourceDefinition nothings.stable.example.com is established", "end of the chain", "Not Found"}, 404},
		{"/apis/stable.example.com/v1/namespaces/default/crontabs/a/scale", []string{"custom resources", "Not Found", "declares no subresource scale"}, 404},
		{flunders, []string{"APIService v1alpha1.wardle.example.com", "proxy", "backend", backend}, 200},
		{flunders + "?watch=true", []string{"watch", "limits", "none", "backend", backend}, 0},
		{"--verb create " + flunders, []string{"create", "writes", "allowed", "backend"}, 0},
		{"--verb delete --as jane --as-group dev /api/v1/namespaces/default", []string{"delete", "jane", "dev", "Forbidden"}, 0},
		{"/version", []string{"no resource: /version", "answers"}, 200},
		{"--verb put /api/v1/namespaces/default/configmaps", []string{"kube-apiserver router", "Method Not Allowed"}, 0},
		{"/nowhere", []string{"end of the chain", "Not Found"}, 404},
	} {
		out, err := p.runs(append([]string{"trace"}, strings.Fields(c.args)...)...)
		if err != nil {
			t.Errorf("%s: %v %s", c.args, err, out)
		}
		rest := out
		for _, want := range c.want {
			i := strings.Index(rest, want)
			if i < 0 {
				t.Errorf("portico trace %s says\n%swant %q after the others", c.args, out, want)
				break
			}
			rest = rest[i+len(want):]
		}
		if c.code != 0 {
			if code, body := p.get(t, c.args); code != c.code {
				t.Errorf("%s: got %d %s, want %d", c.args, code, body, c.code)
			}
		}
	}

	sample.kill()
	eventually(t, "the trace tells that the server is gone", func() bool {
		out, _ := p.runs("trace", flunders)
		return strings.Contains(out, "Service Unavailable") && strings.Contains(out, "FailedDiscoveryCheck")
	})
	if code, body := p.get(t, flunders); code != http.StatusServiceUnavailable {
		t.Errorf("got %d %s", code, body)
	}

	for args, want := range map[string]string{
		"trace":                    "takes one path",
		"trace nowhere":            `path "nowhere" is not the path of a request`,
		"trace --verb sing /api":   `verb "sing" is no HTTP method`,
		"trace /a --kubeconfig= x": "takes one path",
	} {
		if out, err := p.runs(strings.Fields(args)...); err == nil || !strings.Contains(out, want) || strings.Count(strings.TrimSpace(out), "\n") > 0 {
			t.Errorf("portico %s: %v %s, want one line with %s", args, err, out, want)
		}
	}
	p.kubectl(t, "create", "clusterrole", "group-reader", "--verb=list", "--resource=configmaps")
	p.kubectl(t, "create", "clusterrolebinding", "group-reader", "--clusterrole=group-reader", "--group=system:serviceaccounts")
	if out, err := p.runs("trace", "--as", "system:serviceaccount:default:default", "/api/v1/configmaps"); err != nil || !strings.Contains(out, "allowed") {
		t.Errorf("a service account lacks its groups: %v %s", err, out)
	}
	p.kubectl(t, "create", "clusterrole", "tracer", "--verb=get", "--non-resource-url=/debug/portico/trace")
	p.kubectl(t, "create", "clusterrolebinding", "tracer", "--clusterrole=tracer", "--user=tracer")
	if out, err := p.runs("trace", "--as-group", "dev", "/api"); err == nil || !strings.Contains(out, "without impersonating a user") {
		t.Errorf("a group without a user: %v %s", err, out)
	}
	p.kubectl(t, "get", "--raw", "/debug/portico/trace?path=/api", "--as", "tracer")
	for query, user := range map[string]string{"/debug/portico/trace?path=/api&user=jane": "tracer", "/debug/portico/trace?path=/api": "jane"} {
		if _, errs, err := p.tryKubectl(t, "", "get", "--raw", query, "--as", user); err == nil || !strings.Contains(errs, "forbidden") {
			t.Errorf("%s may ask %s: %s", user, query, errs)
		}
	}
	if code, _ := fetch(t, p.clientWith(t, nil), p.url+"/debug/portico/trace?path=/api"); code != http.StatusUnauthorized {
		t.Errorf("who is not known may ask: %d", code)
	}
}
