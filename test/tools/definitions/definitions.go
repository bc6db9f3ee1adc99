// Package definitions pins the projects whose definitions of custom resources are installed by tests, which read them in the folders of the modules.
// A small package of each is imported for `go mod tidy`, which would drop the module otherwise.
package definitions

import (
	_ "github.com/cert-manager/cert-manager/pkg/apis/certmanager"
	_ "github.com/prometheus-operator/prometheus-operator/pkg/versionutil"
	_ "sigs.k8s.io/gateway-api/pkg/consts"
)
