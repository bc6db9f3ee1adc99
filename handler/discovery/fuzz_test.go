package discovery_test

import (
	"net/http"
	"testing"
)

func FuzzAccept(f *testing.F) {
	for _, accept := range []string{
		"", "*/*", plain, v2, v2beta1, v2 + "," + v2beta1 + "," + plain, v2 + ";q=0.5",
		"application/json;as=APIGroupDiscoveryList", ";;;,,,", "a/b;q=NaN", "application/json;q=1e309", "application/*;q=-1",
	} {
		f.Add(accept)
	}
	h := served()
	f.Fuzz(func(t *testing.T, accept string) {
		switch got := get(h, "Accept", accept).StatusCode; got {
		case http.StatusOK, http.StatusNotAcceptable:
		default:
			t.Errorf("Accept %q: got %d, want 200 or 406", accept, got)
		}
	})
}
