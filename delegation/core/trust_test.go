package core_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"testing"
	"time"

	"github.com/portico-api/portico/delegation/core"
)

func newCA(t *testing.T, name string) []byte { return newCAUntil(t, name, time.Now().Add(time.Hour)) }

func newCAUntil(t *testing.T, name string, notAfter time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: notAfter.Add(-24 * time.Hour), NotAfter: notAfter, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestTrustIsMergedWithWhatIsStored(t *testing.T) {
	now := time.Now()
	ours, theirs := newCA(t, "ours"), newCA(t, "theirs")
	expired, justExpired := newCAUntil(t, "old", now.Add(-6*time.Minute)), newCAUntil(t, "recent", now.Add(-4*time.Minute))
	both := string(ours) + string(theirs)
	for _, c := range []struct {
		name         string
		trust        core.Trust
		stored, want map[string]string
	}{
		{"nothing is stored", core.Trust{ClientCA: ours}, nil, map[string]string{"client-ca-file": string(ours)}},
		{"another replica has another authority", core.Trust{ClientCA: ours}, map[string]string{"client-ca-file": string(theirs)}, map[string]string{"client-ca-file": both}},
		{"a certificate is there once", core.Trust{ClientCA: ours}, map[string]string{"client-ca-file": both}, map[string]string{"client-ca-file": both}},
		{"an expired authority goes", core.Trust{ClientCA: ours}, map[string]string{"client-ca-file": string(expired)}, map[string]string{"client-ca-file": string(ours)}},
		{"one that just expired stays for a while", core.Trust{ClientCA: ours}, map[string]string{"client-ca-file": string(justExpired)},
			map[string]string{"client-ca-file": string(ours) + string(justExpired)}},
		{"keys of others are kept", core.Trust{ClientCA: ours}, map[string]string{"mine": "x"}, map[string]string{"client-ca-file": string(ours), "mine": "x"}},
		{"headers need an authority", core.Trust{ClientCA: ours, UsernameHeaders: []string{"X-Remote-User"}}, nil, map[string]string{"client-ca-file": string(ours)}},
		{"headers of another replica are kept while it runs", core.Trust{ClientCA: ours},
			map[string]string{"requestheader-client-ca-file": string(theirs), "requestheader-username-headers": `["A"]`},
			map[string]string{"client-ca-file": string(ours), "requestheader-client-ca-file": string(theirs), "requestheader-username-headers": `["A"]`}},
		{"headers are JSON arrays, ours first", core.Trust{RequestHeaderCA: ours, UsernameHeaders: []string{"A"}, AllowedNames: []string{"x"}},
			map[string]string{"requestheader-username-headers": `["B","A"]`, "requestheader-group-headers": "junk"},
			map[string]string{"requestheader-client-ca-file": string(ours), "requestheader-username-headers": `["A","B"]`, "requestheader-uid-headers": `[]`,
				"requestheader-group-headers": `[]`, "requestheader-extra-headers-prefix": `[]`, "requestheader-allowed-names": `["x"]`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := core.MergeTrust(c.trust, c.stored, now); !maps.Equal(got, c.want) {
				t.Errorf("stored %v\n   got %v\n  want %v", c.stored, got, c.want)
			}
		})
	}
}
