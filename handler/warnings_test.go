package handler_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/portico-api/portico/handler"
)

func TestWarnings(t *testing.T) {
	long := strings.Repeat("ä", 300)
	for name, test := range map[string]struct{ texts, want []string }{
		"a warning is quoted":                     {[]string{`say "a\b"`}, []string{`299 - "say \"a\\b\""`}},
		"a text is shown once":                    {[]string{"a", "b", "a"}, []string{`299 - "a"`, `299 - "b"`}},
		"an empty text is none":                   {[]string{""}, nil},
		"a text that is no header is left out":    {[]string{"a\nb", "c"}, []string{`299 - "c"`}},
		"long texts are whole while they all fit": {[]string{long}, []string{`299 - "` + long + `"`}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := warn(t, test.texts...); !slices.Equal(got, test.want) {
				t.Errorf("warnings %q: got %q, want %q", test.texts, got, test.want)
			}
		})
	}
}

func TestWarningsAreCutWhenTheyDoNotFit(t *testing.T) {
	var texts []string
	for i := range 40 {
		texts = append(texts, fmt.Sprintf("%02d %s", i, strings.Repeat("ä", 500)))
	}
	got := warn(t, texts...)
	if len(got) != 4096/256 {
		t.Errorf("got %d warnings, want %d of 256 runes", len(got), 4096/256)
	}
	for i, header := range got {
		if want := `299 - "` + string([]rune(texts[i])[:256]) + `"`; header != want {
			t.Errorf("warning %d: got %q, want its first 256 runes", i, header)
		}
	}
}

func TestWarningsMayComeFromAnyGoroutine(t *testing.T) {
	rq := &handler.Request{}
	ctx := handler.WithRequest(t.Context(), rq)
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() { handler.AddWarning(ctx, fmt.Sprint("warning ", i)) })
	}
	rq.WriteWarnings(http.Header{}) // while they come
	group.Wait()
	h := http.Header{}
	rq.WriteWarnings(h)
	if got := len(h["Warning"]); got != 50 {
		t.Errorf("got %d warnings, want 50", got)
	}
}

func TestAddWarningOutsideARequestDoesNothing(t *testing.T) {
	handler.AddWarning(context.Background(), "nobody hears")
}

func warn(t *testing.T, texts ...string) []string {
	t.Helper()
	rq := &handler.Request{}
	for _, text := range texts {
		handler.AddWarning(handler.WithRequest(t.Context(), rq), text)
	}
	h := http.Header{}
	rq.WriteWarnings(h)
	return h["Warning"]
}
