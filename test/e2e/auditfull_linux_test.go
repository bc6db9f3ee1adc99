package e2e

import (
	"strings"
	"testing"
)

// A full disk refuses requests only when that is asked for.
func TestAStrictAuditLogThatCannotBeWrittenRefusesRequests(t *testing.T) {
	policy, _ := auditFiles(t, "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, resources: [{resources: [configmaps]}]}]\n")
	p := startPortico(t, "--audit-policy-file", policy, "--audit-log-path", "/dev/full", "--audit-log-mode", "blocking-strict")
	if code, body := p.get(t, "/api/v1/namespaces/default/configmaps"); code != 500 || !strings.Contains(body, "failed to store audit event") {
		t.Errorf("got %d %s", code, body)
	}
	if code, _ := p.get(t, "/api/v1/namespaces/default/secrets"); code != 200 {
		t.Errorf("what need not be written down got %d", code)
	}
	if _, metrics := p.get(t, "/metrics"); !strings.Contains(metrics, "apiserver_audit_requests_rejected_total 1") || !strings.Contains(metrics, `apiserver_audit_error_total{plugin="log"} 1`) {
		t.Error("the metrics do not tell of it")
	}
}
