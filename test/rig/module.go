package rig

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Modules whose definitions of custom resources are installed by tests, in the versions that test/tools/definitions requires.
const (
	CertManager        = "github.com/cert-manager/cert-manager"
	PrometheusOperator = "github.com/prometheus-operator/prometheus-operator"
	GatewayAPI         = "sigs.k8s.io/gateway-api"
)

// ModuleDir returns the folder of a module that test/tools/definitions requires. It is fetched when it is not there yet.
func ModuleDir(module string) (string, error) {
	out, err := exec.Command("go", "-C", filepath.Join(root(), "test/tools/definitions"), "mod", "download", "-json", module).Output()
	if err != nil {
		return "", fmt.Errorf("fetching %s: %w: %s", module, err, out)
	}
	var answer struct{ Dir string }
	if err := json.Unmarshal(out, &answer); err != nil {
		return "", fmt.Errorf("reading where %s is: %w", module, err)
	}
	return answer.Dir, nil
}
