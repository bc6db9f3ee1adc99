package serving

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// CAFile is a PEM file of authorities that may change while the server runs.
type CAFile struct {
	file    string
	current atomic.Pointer[caBundle]

	mu sync.Mutex // one Reload at a time
}

type caBundle struct {
	pool       *x509.CertPool
	pem        []byte
	generation uint64
}

// NewCAFile reads the file. The error names it and what is wrong with it.
func NewCAFile(path string) (*CAFile, error) {
	f := &CAFile{file: path}
	if _, err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// String is the file's name.
func (f *CAFile) String() string { return f.file }

// Bundle returns the authorities, as a pool and as the PEM they were read from. Neither may be
// changed.
func (f *CAFile) Bundle() (*x509.CertPool, []byte) {
	b := f.current.Load()
	return b.pool, b.pem
}

// Pool returns the authorities together with the generation they are of.
func (f *CAFile) Pool() (*x509.CertPool, uint64) {
	b := f.current.Load()
	return b.pool, b.generation
}

// Generation is greater after each change of the bundle. What was decided with an older one has to
// be decided again.
func (f *CAFile) Generation() uint64 { return f.current.Load().generation }

// Reload reads the file again and tells whether it has changed. When it cannot be used, the bundle
// stays what it was.
func (f *CAFile) Reload() (changed bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, err := os.ReadFile(f.file)
	if err != nil {
		return false, fmt.Errorf("reading certificate authorities: %w", err)
	}
	former := f.current.Load()
	if former != nil && bytes.Equal(former.pem, data) {
		return false, nil
	}
	pool, err := parseBundle(data)
	if err != nil {
		return false, fmt.Errorf("reading certificate authorities in %s: %w", f.file, err)
	}
	next := &caBundle{pool: pool, pem: data, generation: 1}
	if former != nil {
		next.generation = former.generation + 1
	}
	f.current.Store(next)
	return true, nil
}

// parseBundle is strict where x509's own parser skips: an authority that is left out in silence is
// found when its clients are refused.
func parseBundle(data []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	count := 0
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		count++
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", count, err)
		}
		pool.AddCert(cert)
	}
	if count == 0 {
		return nil, fmt.Errorf("there is no PEM certificate")
	}
	return pool, nil
}
