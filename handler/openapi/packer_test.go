package openapi

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
)

func TestPackedIsTheSameUnpacked(t *testing.T) {
	p := &packer{}
	var all sync.WaitGroup
	for _, text := range []string{"", "a", strings.Repeat("a long one. ", 10_000), "short again"} {
		all.Go(func() {
			for range 20 {
				packed, err := p.pack([]byte(text))
				if err != nil {
					t.Error(err)
					return
				}
				z, err := gzip.NewReader(bytes.NewReader(packed))
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := io.ReadAll(z); err != nil || string(got) != text {
					t.Errorf("%d bytes came back as %d: %v", len(text), len(got), err)
				}
			}
		})
	}
	all.Wait()
}

// BenchmarkImport is what a document of 30 KB costs that another server has.
func BenchmarkImport(b *testing.B) {
	var fields []string
	for i := range 150 {
		fields = append(fields, fmt.Sprintf(`"field%d":{"type":"string","description":%q}`, i, strings.Repeat("What it means. ", 12)))
	}
	text := []byte(`{"openapi":"3.0.0","info":{"title":"things","version":"1"},"paths":{},"components":{"schemas":{"Thing":{"type":"object","properties":{` +
		strings.Join(fields, ",") + `}}}}}`)
	i := &Importer{}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.Import("apis/g/v1", "", text); err != nil {
			b.Fatal(err)
		}
	}
}
