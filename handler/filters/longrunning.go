package filters

import (
	"net/http"
	"strings"

	"github.com/portico-api/portico/handler"
)

// DefaultLongRunning is kube-apiserver's choice: watches, proxied and streaming subresources, and profiles.
func DefaultLongRunning(_ *http.Request, info *handler.RequestInfo) bool {
	if !info.IsResourceRequest {
		return strings.HasPrefix(info.Path, "/debug/pprof/")
	}
	switch info.Verb {
	case "watch", "proxy":
		return true
	}
	switch info.Subresource {
	case "attach", "exec", "proxy", "log", "portforward":
		return true
	}
	return false
}
