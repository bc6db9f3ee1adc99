package filters

import "net/http"

// withCacheControl keeps answers out of shared caches: what one user may read, another may not. A handler that knows better
// overrides it.
func withCacheControl() filter {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if h := w.Header(); len(h["Cache-Control"]) == 0 {
				h["Cache-Control"] = []string{"no-cache, private"}
			}
			next.ServeHTTP(w, r)
		})
	}
}
