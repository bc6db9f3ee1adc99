package handler

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"unicode/utf8"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

const (
	// maxWarningRunes is what all warnings of a request may have together at full length.
	maxWarningRunes = 4096
	// cutWarningRunes is the length of each when they do not fit.
	cutWarningRunes = 256
)

// warnings collects the Warning headers of one request. They are rendered when the headers are written and not when
// they are added, so that any goroutine may add one without touching the response.
type warnings struct {
	mu    sync.Mutex
	texts []string
	runes int
}

// AddWarning adds a text that the client is shown in a "Warning: 299" header, if the answer's
// headers have not been written yet. A text that was added before is not repeated. It does nothing outside a request,
// and ignores texts that cannot stand in a header.
func AddWarning(ctx context.Context, text string) {
	r, ok := RequestFrom(ctx)
	if !ok || text == "" {
		return
	}
	if _, err := utilnet.NewWarningHeader(299, "-", text); err != nil {
		return
	}
	r.warnings.add(text)
}

func (w *warnings) add(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// Once even the shortened texts fill the budget, more would never be shown.
	if w.shown() >= maxWarningRunes || slices.Contains(w.texts, text) {
		return
	}
	w.texts = append(w.texts, text)
	w.runes += utf8.RuneCountInString(text)
}

// shown is how many runes of the warnings so far will be sent.
func (w *warnings) shown() int {
	if w.runes <= maxWarningRunes {
		return 0
	}
	n := 0
	for _, text := range w.texts {
		n += min(utf8.RuneCountInString(text), cutWarningRunes)
	}
	return n
}

// WriteWarnings adds the request's warnings to the headers of its answer. The response writer of the
// filters calls it when the headers are about to be written.
func (r *Request) WriteWarnings(h http.Header) {
	w := &r.warnings
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, text := range w.texts {
		if w.runes > maxWarningRunes {
			text = cut(text, cutWarningRunes)
		}
		if header, err := utilnet.NewWarningHeader(299, "-", text); err == nil {
			h.Add("Warning", header)
		}
	}
}

// cut returns at most n runes of text.
func cut(text string, n int) string {
	for i := range text {
		if n == 0 {
			return text[:i]
		}
		n--
	}
	return text
}
