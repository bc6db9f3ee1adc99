package handler_test

import (
	"testing"

	"github.com/portico-api/portico/handler"
)

// BenchmarkStartSpan is what a station of a request costs that is not traced.
func BenchmarkStartSpan(b *testing.B) {
	ctx := handler.WithRequest(b.Context(), &handler.Request{})
	b.ReportAllocs()
	for b.Loop() {
		_, span := handler.StartSpan(ctx, "station")
		span.Set("key", "value")
		span.End(nil)
	}
}
