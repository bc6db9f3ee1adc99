package filters

import "net/http"

// withCacheControl keeps answers out of shared caches: what one user may read, another may not. A handler that knows better
// overrides it.
func withCacheControl() filter {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if h := w.Header(); len(h["Cache-Control"]) == 0 {
				value := &writerOf(w).exchange.cacheControl
				value[0] = "no-cache, private"
				h["Cache-Control"] = value[:]
			}
			next.ServeHTTP(w, r)
		})
	}
}
