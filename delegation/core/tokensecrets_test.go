package core_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/delegation/core"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/handler/authentication/serviceaccount"
)

// Between the look at a secret and the write of its token, another secret may have got its name.
func TestATokenIsWrittenIntoNoOtherSecret(t *testing.T) {
	store, err := storage.Open(t.Context(), storage.Config{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	scheme, err := core.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := registry.New(t.Context(), registry.Config{Store: store, Scheme: scheme}, core.DeclaredResources()["secrets"])
	if err != nil {
		t.Fatal(err)
	}
	seen := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "x", UID: "seen"}, Type: corev1.SecretTypeServiceAccountToken}
	create(t, secrets, "a", &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "x"}})
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "robot", UID: "robot"}}
	if err := core.FillTokenSecret(t.Context(), secrets, newIssuer(t), seen, account); err != nil {
		t.Error(err)
	}
	got, err := registry.GetAs[*corev1.Secret](t.Context(), secrets, "a", "x")
	if err != nil || len(got.Data) > 0 {
		t.Errorf("the other secret holds %v (%v)", got.Data, err)
	}
}

func newIssuer(t *testing.T) *serviceaccount.Issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	issuer, err := serviceaccount.NewIssuer("https://issuer", file)
	if err != nil {
		t.Fatal(err)
	}
	return issuer
}
