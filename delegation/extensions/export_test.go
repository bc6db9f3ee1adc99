package extensions

import (
	"net/http"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Publish replaces the custom resources that s serves.
func (s *Server) Publish(resources map[schema.GroupVersionResource]http.Handler) {
	s.resources.publish(resources)
}
