package extensions_test

import (
	"net/http"
	"testing"

	"github.com/portico-api/portico/handler"
)

// A small patch of a large definition is much work.
func TestAWriteIsAsLargeAsWhatItIsAbout(t *testing.T) {
	r := newRig(t, t.TempDir())
	name := r.define(widgets(simpleVersion))
	stored := len(r.get(crds + "/" + name).body)
	for _, c := range []struct {
		name       string
		size, want int
	}{
		{name, 3, stored},
		{name, 10 * stored, 10 * stored},
		{"", 3, 3},
		{"unknown.example.com", 3, 3},
	} {
		ctx := handler.WithRequest(t.Context(), &handler.Request{Info: handler.RequestInfo{Name: c.name}})
		if got := r.unit.Weigh(ctx, c.size); got < c.want || got > c.want+1 { // an answer ends its line
			t.Errorf("a body of %d about %q weighs %d, want %d", c.size, c.name, got, c.want)
		}
	}
}

func TestWritesOfDefinitionsWaitForTheirTurn(t *testing.T) {
	r := newRig(t, t.TempDir())
	const one = crds + "/widgets.example.com"
	apply := []string{"Content-Type", "application/apply-patch+yaml"}
	for _, c := range []struct {
		method, path, body string
		header             []string
		code               int
	}{
		{http.MethodPost, crds, widgets(simpleVersion), nil, http.StatusCreated},
		{http.MethodPatch, one, `metadata: {labels: {a: b}}`, nil, http.StatusOK},
		{http.MethodPatch, one + "?fieldManager=m", widgets(simpleVersion), apply, http.StatusOK},
		{http.MethodPatch, one + "/status", `status: {storedVersions: [v1]}`, nil, http.StatusOK},
		{http.MethodPut, one, "", nil, http.StatusOK},
		{http.MethodPut, one + "/status", "", nil, http.StatusOK},
		{http.MethodDelete, crds, "", nil, http.StatusOK},
		{http.MethodPost, crds, widgets(simpleVersion), nil, http.StatusCreated},
		{http.MethodDelete, one, "", nil, http.StatusOK},
	} {
		r.until("controllers have no more to do", func() bool { return r.unit.WaitForTurn() == 0 })
		if c.method == http.MethodPost {
			r.until("there is none", func() bool { return r.get(one).code == http.StatusNotFound })
		} else {
			r.until("it has its names", func() bool { return r.condition("widgets.example.com", "Established") == "True" })
		}
		var body any = c.body
		if c.method == http.MethodPut {
			body = r.get(one).object
		}
		release := r.unit.HoldTurn(t.Context())
		answers := make(chan *answer, 1)
		go func() { answers <- r.do(c.method, c.path, body, c.header...) }()
		r.until("the write waits", func() bool { return r.unit.WaitForTurn() > 0 })
		if a := r.get(crds + "?limit=1"); a.code != http.StatusOK {
			t.Errorf("reading meanwhile: %d %s", a.code, a.body)
		}
		select {
		case a := <-answers:
			t.Errorf("%s %s did not wait: %d %s", c.method, c.path, a.code, a.body)
		default:
		}
		release()
		if a := <-answers; a.code != c.code {
			t.Errorf("%s %s: %d %s", c.method, c.path, a.code, a.body)
		}
	}
}
