package delegation

import (
	"runtime"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/version"

	"github.com/portico-api/portico/handler/rest"
)

// DefaultVersion is what /version answers unless the program says better: the Kubernetes version
// whose API is served. kubectl compares the minor version with its own, and many tools want a
// gitVersion of the form v1.x.y (contract 9).
func DefaultVersion() version.Info {
	const major, minor = "1", "36"
	return version.Info{
		Major:                 major,
		Minor:                 minor,
		EmulationMajor:        major,
		EmulationMinor:        minor,
		MinCompatibilityMajor: major,
		MinCompatibilityMinor: minor,
		GitVersion:            "v" + major + "." + minor + ".0+portico",
		GoVersion:             runtime.Version(),
		Compiler:              runtime.Compiler,
		Platform:              runtime.GOOS + "/" + runtime.GOARCH,
	}
}

// releaseOf is the release of a version, and none of one whose numbers cannot be read.
func releaseOf(v version.Info) rest.Release {
	major, err := strconv.Atoi(v.Major)
	if err != nil {
		return rest.Release{}
	}
	minor, err := strconv.Atoi(strings.TrimRight(v.Minor, "+"))
	if err != nil {
		return rest.Release{}
	}
	return rest.Release{Major: major, Minor: minor}
}
