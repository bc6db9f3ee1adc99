package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	passageLine = regexp.MustCompile(`"Request is satisfied by (\w+)" .*unit="([^"]+)" .*path="([^"]+)"`)
	auditLine   = regexp.MustCompile(`"HTTP" .*URI="([^"]+)"`)
)

// What each kind of path passes through on its way, told by the directors themselves.
func TestARequestPassesTheUnitsInOrder(t *testing.T) {
	p := startPortico(t, "-v=5")
	p.kubectl(t, "create", "namespace", "demo")
	sample := startSampleAPIServer(t, p.kubeconfig)
	p.kubectl(t, "apply", "-f", wardleManifests(t, sample.port))
	p.kubectl(t, "wait", "--for=condition=Available", "--timeout=60s", "apiservice/v1alpha1.wardle.example.com")

	const aggregator, core, extensions = "kube-aggregator", "kube-apiserver", "apiextensions-apiserver"
	for _, c := range []struct {
		name, path string
		code       int
		passes     []string
	}{
		{"a path that nobody claims reaches the end", "/nowhere/at/all", 404, []string{
			aggregator + " nonGoRestful", core + " nonGoRestful", extensions + " nonGoRestful"}},
		{"a custom resource that nobody defines reaches the end", "/apis/nobody.example.com/v1/things", 404, []string{
			aggregator + " nonGoRestful", core + " nonGoRestful", extensions + " nonGoRestful"}},
		{"a core path is answered by core", "/api/v1/namespaces/demo", 200, []string{
			aggregator + " nonGoRestful", core + " gorestful"}},
		{"what core has a root for goes no further", "/api/v1/nothings", 404, []string{
			aggregator + " nonGoRestful", core + " gorestful"}},
		{"a group of core is answered by core", "/apis/rbac.authorization.k8s.io/v1/clusterroles/view", 200, []string{
			aggregator + " nonGoRestful", core + " gorestful"}},
		{"an extension path is answered by extensions", "/apis/apiextensions.k8s.io/v1", 200, []string{
			aggregator + " nonGoRestful", core + " nonGoRestful", extensions + " gorestful"}},
		{"the aggregator's own group is answered by it", "/apis/apiregistration.k8s.io/v1/apiservices", 200, []string{
			aggregator + " gorestful"}},
		{"a wardle path leaves by the aggregator", "/apis/wardle.example.com/v1alpha1/namespaces/demo/flunders", 200, []string{
			aggregator + " nonGoRestful"}},
		{"the list of groups is the aggregator's", "/apis", 200, []string{
			aggregator + " nonGoRestful"}},
		{"the boundary of a segment counts", "/apix", 404, []string{
			aggregator + " nonGoRestful", core + " nonGoRestful", extensions + " nonGoRestful"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(p.output.String())
			if code, body := p.get(t, c.path); code != c.code {
				t.Errorf("GET %s: got %d, want %d: %s", c.path, code, c.code, tail(body, 300))
			}
			var log string
			eventually(t, "the request is logged", func() bool {
				log = p.output.String()[before:]
				return slices.ContainsFunc(auditLine.FindAllStringSubmatch(log, -1), func(m []string) bool { return m[1] == c.path })
			})
			var passes []string
			for _, m := range passageLine.FindAllStringSubmatch(log, -1) {
				if m[3] == c.path {
					passes = append(passes, m[2]+" "+m[1])
				}
			}
			if !slices.Equal(passes, c.passes) {
				t.Errorf("GET %s passed %s, want %s", c.path, strings.Join(passes, " → "), strings.Join(c.passes, " → "))
			}
		})
	}
}
