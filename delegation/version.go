package delegation

import (
	"runtime"
	"runtime/debug"

	"k8s.io/apimachinery/pkg/version"
)

// The Kubernetes version whose API is served. kubectl compares the minor version with its own, and
// many tools want a gitVersion of the form v1.x.y (contract 9).
const (
	major      = "1"
	minor      = "36"
	gitVersion = "v1.36.0+portico"
)

// DefaultVersion is what /version answers, with the commit from the build when it is known.
func DefaultVersion() version.Info {
	v := version.Info{
		Major:                 major,
		Minor:                 minor,
		EmulationMajor:        major,
		EmulationMinor:        minor,
		MinCompatibilityMajor: major,
		MinCompatibilityMinor: minor,
		GitVersion:            gitVersion,
		GoVersion:             runtime.Version(),
		Compiler:              runtime.Compiler,
		Platform:              runtime.GOOS + "/" + runtime.GOARCH,
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				v.GitCommit = s.Value
			case s.Key == "vcs.time":
				v.BuildDate = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				v.GitTreeState = "dirty"
			case s.Key == "vcs.modified":
				v.GitTreeState = "clean"
			}
		}
	}
	return v
}
