package filters

import (
	"net/http"
	"reflect"
	"runtime"
	"strings"
)

// RecordOrder builds the chain with a recorder before each filter and returns it.
func RecordOrder(director http.Handler, c *Config, met func(name string)) http.Handler {
	var recorded []filter
	for _, f := range list(c.withDefaults()) {
		name := filterName(f)
		recorded = append(recorded, func(next http.Handler) http.Handler {
			inner := f(next)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				met(name)
				inner.ServeHTTP(w, r)
			})
		})
	}
	return chain(director, recorded)
}

// filterName is the name of the constructor that returned f.
func filterName(f filter) string {
	name := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
	for part := range strings.SplitSeq(name, ".") {
		if strings.HasPrefix(part, "with") {
			return part
		}
	}
	return name
}
