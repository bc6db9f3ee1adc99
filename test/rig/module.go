package rig

import (
	"context"
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

// Generate writes the definitions of custom resources that the built controller-gen makes of the orchard's types into a folder.
func Generate(ctx context.Context, controllerGen, dir string) error {
	command := exec.CommandContext(ctx, controllerGen, "crd:allowDangerousTypes=true", "paths=./...", "output:crd:dir="+dir)
	command.Dir = filepath.Join(root(), Orchard)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("generating definitions: %w: %s", err, out)
	}
	return nil
}
