package discovery

import "net/http"

// GroupsHandler answers the path /apis: with the aggregated document when the client asks for it
// with as=APIGroupDiscoveryList, else by legacy, which also tells a client that accepts neither.
func (m *Manager) GroupsHandler(legacy http.Handler) http.Handler {
	return aggregatedHandler(func() *Document { return m.current().groups }, legacy)
}

// CoreHandler is GroupsHandler for the path /api and the group without a name.
func (m *Manager) CoreHandler(legacy http.Handler) http.Handler {
	return aggregatedHandler(func() *Document { return m.current().core }, legacy)
}

func aggregatedHandler(current func() *Document, legacy http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rep, ok := negotiate(r, true); ok && rep.aggregated {
			current().write(w, r, rep.encoding)
			return
		}
		legacy.ServeHTTP(w, r)
	})
}
