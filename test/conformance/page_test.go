package conformance

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// page reads one page of the objects labelled paged=yes.
func (s *server) page(t *testing.T, namespace, query string) reply {
	t.Helper()
	return s.must(t, 200, exchange{path: collection(namespace, "configmaps") + "?labelSelector=paged%3Dyes&" + query})
}

func (s *server) makePaged(t *testing.T, namespace string, n int) {
	t.Helper()
	for i := range n {
		s.put(t, namespace, fmt.Sprintf("page-%d", i), "first", `"paged":"yes"`)
	}
}

func TestThePagesOfAListAreOneState(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		s.makePaged(t, namespace, 5)
		first := s.page(t, namespace, "limit=2")
		meta := first.listMeta(t)
		if got := first.names(t); !slices.Equal(got, []string{"page-0", "page-1"}) || meta.Continue == "" {
			t.Fatalf("the first page: got %v, continue %q", got, meta.Continue)
		}

		// Between the pages everything changes.
		s.remove(t, namespace, "page-2")
		s.put(t, namespace, "page-3", "second", `"paged":"yes"`)
		s.put(t, namespace, "page-2b", "new", `"paged":"yes"`)
		s.put(t, namespace, "page-4", "second", `"paged":"no"`)

		second := s.page(t, namespace, "limit=2&continue="+meta.Continue)
		if got := second.names(t); !slices.Equal(got, []string{"page-2", "page-3"}) {
			t.Errorf("the second page: got %v", got)
		}
		if strings.Contains(string(second.body), "second") {
			t.Errorf("the second page shows what was written after the first: %s", cut(second.body))
		}
		third := s.page(t, namespace, "limit=2&continue="+second.listMeta(t).Continue)
		if got := third.names(t); !slices.Equal(got, []string{"page-4"}) || third.listMeta(t).Continue != "" {
			t.Errorf("the last page: got %v, continue %q", got, third.listMeta(t).Continue)
		}
		for _, r := range []reply{second, third} {
			if got := r.listMeta(t).ResourceVersion; got != meta.ResourceVersion {
				t.Errorf("a page is of resourceVersion %s, the first was of %s", got, meta.ResourceVersion)
			}
		}
		rest := s.page(t, namespace, "continue="+meta.Continue) // without a limit: all that is left
		if got := rest.names(t); !slices.Equal(got, []string{"page-2", "page-3", "page-4"}) {
			t.Errorf("the rest in one page: got %v", got)
		}
		zero := s.page(t, namespace, "limit=2&resourceVersion=0&continue="+meta.Continue)
		if got := zero.names(t); !slices.Equal(got, []string{"page-2", "page-3"}) {
			t.Errorf("with resourceVersion=0: got %v", got)
		}
	})
}

func TestAPageSaysWhatRemains(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		s.makePaged(t, namespace, 4)
		maps := collection(namespace, "configmaps")
		remaining := func(query string) *int64 {
			t.Helper()
			return s.must(t, 200, exchange{path: maps + "?" + query}).listMeta(t).RemainingItemCount
		}
		// The namespace's furniture is one more.
		if got := remaining("limit=2"); got == nil || *got != 3 {
			t.Errorf("after 2 of 5: got %v, want 3", got)
		}
		token := s.must(t, 200, exchange{path: maps + "?limit=2"}).listMeta(t).Continue
		if got := remaining("limit=2&continue=" + token); got == nil || *got != 1 {
			t.Errorf("after 4 of 5: got %v, want 1", got)
		}
		if got := remaining("limit=5"); got != nil {
			t.Errorf("on a complete list: got %d, want none", *got)
		}
		if got := remaining("limit=2&labelSelector=paged%3Dyes"); got != nil {
			t.Errorf("with a selector: got %d, want none", *got)
		}
		// As many as fit exactly are no page.
		if got := s.page(t, namespace, "limit=4").listMeta(t); got.Continue != "" {
			t.Errorf("4 of 4 with limit=4: got a continue token")
		}
	})
}

func TestAContinueTokenIsHeldToItsList(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		s.makePaged(t, namespace, 3)
		maps := collection(namespace, "configmaps")
		token := s.must(t, 200, exchange{path: maps + "?limit=1"}).listMeta(t).Continue
		forged := func(text string) string { return url.QueryEscape(base64.RawURLEncoding.EncodeToString([]byte(text))) }
		for _, c := range []struct {
			name, query string
			want        failure
		}{
			{"another resourceVersion", "resourceVersion=1&continue=" + token, failure{400, metav1.StatusReasonBadRequest, "resource version"}},
			{"a match", "resourceVersion=0&resourceVersionMatch=NotOlderThan&continue=" + token, failure{422, metav1.StatusReasonInvalid, "resourceVersionMatch is forbidden when continue is provided"}},
			{"nonsense", "continue=nonsense", failure{400, metav1.StatusReasonBadRequest, "continue key is not valid"}},
			{"another version", "continue=" + forged(`{"v":"v9","rv":1,"start":"a"}`), failure{400, metav1.StatusReasonBadRequest, "continue key is not valid"}},
			{"no start", "continue=" + forged(`{"v":"meta.k8s.io/v1","rv":1}`), failure{400, metav1.StatusReasonBadRequest, "continue key is not valid"}},
			{"a state before the beginning", "continue=" + forged(`{"v":"meta.k8s.io/v1","rv":-5,"start":"a"}`), failure{400, metav1.StatusReasonBadRequest, "continue key is not valid"}},
		} {
			t.Run(c.name, func(t *testing.T) { s.expectFailure(t, exchange{path: maps + "?limit=1&" + c.query}, c.want) })
		}
		body, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			t.Fatalf("the token is not base64url: %v", err)
		}
		var fields struct {
			V     string
			RV    int64
			Start string
		}
		if err := json.Unmarshal(body, &fields); err != nil || fields.V != "meta.k8s.io/v1" || fields.RV == 0 || !strings.HasSuffix(fields.Start, "\x00") {
			t.Errorf("the token is %s", body)
		}
	})
}
