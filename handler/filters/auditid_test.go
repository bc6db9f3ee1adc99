package filters_test

import (
	"testing"
)

func TestEveryAnswerCarriesTheAuditID(t *testing.T) {
	if got := ask(t, ok, config(), "GET", "/", "Audit-Id", "mine").Header().Get("Audit-ID"); got != "mine" {
		t.Errorf("got Audit-ID %q, want that of the request", got)
	}
	first, second := ask(t, ok, config(), "GET", "/").Header().Get("Audit-ID"), ask(t, ok, config(), "GET", "/").Header().Get("Audit-ID")
	if len(first) != 36 || first[14] != '4' || first == second {
		t.Errorf("got Audit-IDs %q and %q, want two different random UUIDs", first, second)
	}
}
