package serviceaccount_test

import (
	"crypto/elliptic"
	"testing"
	"time"

	"github.com/portico-api/portico/handler/authentication/serviceaccount"
)

// looks counts how tokens were known.
type looks struct{ hits, misses, errors int }

func (l *looks) TokenCache(hit bool, err error, _ time.Duration) {
	switch {
	case hit:
		l.hits++
	case err != nil:
		l.errors++
	default:
		l.misses++
	}
}

func TestItIsCountedHowOftenASignatureWasVerified(t *testing.T) {
	h := newHouse(t, newKey(t, elliptic.P256()))
	var l looks
	v := serviceaccount.NewVerifier(serviceaccount.Config{Issuers: []string{issuer}, Keys: []serviceaccount.PublicKey{h.issuer.Key()}, Audiences: []string{issuer}, Objects: h.objects, Metrics: &l})
	token := h.issue(t, serviceaccount.Request{})
	for range 3 {
		if _, ok, err := v.AuthenticateToken(t.Context(), token); !ok || err != nil {
			t.Fatalf("a token: %v, %v", ok, err)
		}
	}
	v.AuthenticateToken(t.Context(), token[:len(token)-4]+"AAAA")
	v.AuthenticateToken(t.Context(), "somebody-else's")
	if want := (looks{hits: 2, misses: 1, errors: 1}); l != want {
		t.Errorf("got %+v, want %+v", l, want)
	}
}
