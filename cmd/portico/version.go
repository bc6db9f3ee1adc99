package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	apimachineryversion "k8s.io/apimachinery/pkg/version"

	"github.com/portico-api/portico/delegation"
)

// kubernetesVersion is the Kubernetes release whose API is served. Clients compare it with their
// own (contract, section 9), so it comes first in what /version says.
const kubernetesVersion = "v1.36.6"

// version is Portico's own; releases set it with -ldflags "-X main.version=…".
var version = "dev"

// gitVersion is the Kubernetes version followed by Portico's own as build metadata.
func gitVersion() string { return kubernetesVersion + "+portico." + version }

// userAgent is what this process says that it is, in requests of its own.
func userAgent() string {
	return fmt.Sprintf("portico/%s (%s/%s)", version, runtime.GOOS, runtime.GOARCH)
}

// versionInfo is what GET /version answers.
func versionInfo() apimachineryversion.Info {
	info := delegation.DefaultVersion()
	info.GitVersion = gitVersion()
	info.GitTreeState = "unknown"
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	for _, setting := range build.Settings {
		switch setting.Key {
		case "vcs.revision":
			info.GitCommit = setting.Value
		case "vcs.time":
			info.BuildDate = setting.Value
		case "vcs.modified":
			info.GitTreeState = map[string]string{"true": "dirty", "false": "clean"}[setting.Value]
		}
	}
	return info
}
