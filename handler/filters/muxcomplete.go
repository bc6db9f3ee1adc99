package filters

import "net/http"

// withMuxComplete marks requests that arrive while units still register their paths. A path that nobody claims is then
// answered 503 and not 404: controllers delete things when a type seems to be gone.
func withMuxComplete(complete func() bool) filter {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requestOf(r).MuxIncomplete = !complete()
			next.ServeHTTP(w, r)
		})
	}
}
