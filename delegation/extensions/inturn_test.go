package extensions_test

import (
	"net/http"
	"testing"
)

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
		{http.MethodDelete, one, "", nil, http.StatusOK},
	} {
		r.until("controllers have no more to do", func() bool { return r.unit.WaitForTurn() == 0 })
		if c.method != http.MethodPost {
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
