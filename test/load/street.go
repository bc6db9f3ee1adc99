package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/portico-api/portico/serving/pki"
	"github.com/portico-api/portico/test/rig"
)

// street is the fronts side by side, each a process of its own.
type street struct {
	dir    string
	fronts map[string]*rig.Process
	user   *tls.Config // of the clients
}

// openStreet starts the fronts, registers the backend with portico and fills portico's store.
func openStreet(ctx context.Context, binary string) (_ *street, err error) {
	s := &street{fronts: map[string]*rig.Process{}}
	if s.dir, err = os.MkdirTemp("", "portico-load-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	made, err := pki.Ensure(pki.Config{Dir: filepath.Join(s.dir, "backend"), Hosts: []string{"127.0.0.1", rig.ThingsHost}})
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if s.fronts[direct], err = rig.Start(self, serveFlag, made.Serving.CertFile, made.Serving.KeyFile); err != nil {
		return nil, err
	}
	url := s.fronts[direct].URL
	if s.fronts[bare], err = rig.Start(self, serveFlag, made.Serving.CertFile, made.Serving.KeyFile, url, made.CA.CertFile); err != nil {
		return nil, err
	}
	if err := s.openPeers(strings.TrimPrefix(url, "https://"), made); err != nil {
		return nil, err
	}
	data := filepath.Join(s.dir, "data")
	if s.fronts[portico], _, err = rig.StartPortico(binary, data); err != nil {
		return nil, err
	}
	door, err := rig.Open(s.fronts[portico].URL, data)
	if err != nil {
		return nil, err
	}
	defer door.Close()
	ca, err := os.ReadFile(made.CA.CertFile)
	if err != nil {
		return nil, err
	}
	if err := door.RegisterThings(ctx, strings.TrimPrefix(url, "https://"), ca); err != nil {
		return nil, err
	}
	for i := range storedMaps {
		if err := door.Create(ctx, configMaps, json.RawMessage(configMap(fmt.Sprintf("stored-%d", i)))); err != nil {
			return nil, err
		}
	}
	return s, s.admit(door, ca)
}

// admit makes the user that the clients are.
func (s *street) admit(door *rig.Door, ca []byte) error {
	reader, err := door.NewUser(rig.Reader, "developers")
	if err != nil {
		return err
	}
	s.user = &tls.Config{RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{reader}}
	s.user.RootCAs.AppendCertsFromPEM(ca)
	door.Trust(s.user.RootCAs)
	return nil
}

// close stops what was started and removes what it stored.
func (s *street) close() {
	var errs []error
	backend := s.fronts[direct]
	delete(s.fronts, direct)
	for _, p := range s.fronts {
		if p != nil {
			errs = append(errs, p.Stop())
		}
	}
	if backend != nil {
		errs = append(errs, backend.Stop())
	}
	errs = append(errs, os.RemoveAll(s.dir))
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(os.Stderr, "load: tidying up:", err)
	}
}
