package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/portico-api/portico/serving/pki"
)

func TestTheFirstOfABundleToEndCounts(t *testing.T) {
	dir := t.TempDir()
	made, err := pki.Ensure(pki.Config{Dir: dir, Hosts: []string{"localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(made.CA.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := os.ReadFile(filepath.Join(dir, "admin.crt"))
	if err != nil {
		t.Fatal(err)
	}
	alone, both := firstEnd(leaf), firstEnd(slices.Concat(ca, leaf))
	if alone.Before(time.Now()) || !both.Equal(alone) || !firstEnd(ca).After(alone) {
		t.Errorf("the authority ends %v, the certificate %v, a file of both %v: want the second twice", firstEnd(ca), alone, both)
	}
	if end := firstEnd([]byte("nothing")); !end.IsZero() {
		t.Errorf("no certificate ends %v", end)
	}
}
