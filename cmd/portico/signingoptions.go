package main

import (
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/portico-api/portico/delegation/core/certificates"
	"github.com/portico-api/portico/serving/pki"
)

// signingOptions are the flags about certificates that are signed for who asks for one.
type signingOptions struct {
	certFile, keyFile string
	duration          time.Duration
}

func (o *signingOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.certFile, "cluster-signing-cert-file", "", "PEM file with the authority that signs approved CertificateSigningRequests, instead of the one made in the data directory.")
	flags.StringVar(&o.keyFile, "cluster-signing-key-file", "", "PEM file with the key of --cluster-signing-cert-file.")
	flags.DurationVar(&o.duration, "cluster-signing-duration", certificates.DefaultDuration, "How long a signed certificate lives at most.")
}

func (o *signingOptions) validate() error {
	if (o.certFile == "") != (o.keyFile == "") {
		return errors.New("--cluster-signing-cert-file and --cluster-signing-key-file go together: give both or neither")
	}
	if o.duration < 10*time.Minute {
		return fmt.Errorf("--cluster-signing-duration %v is too short: choose 10m or more", o.duration)
	}
	return nil
}

// authority returns what signs: nil when this server does not have the key of the authority that it trusts clients by.
func (o *signingOptions) authority(id *identity) (func() (*certificates.Authority, error), error) {
	pair := pki.Pair{CertFile: o.certFile, KeyFile: o.keyFile}
	if o.certFile == "" {
		if id.opts.clientCAFile != "" {
			return nil, nil
		}
		pair = id.pki.CA
	}
	read := func() (*certificates.Authority, error) {
		loaded, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the authority that signs: %w", err)
		}
		key, ok := loaded.PrivateKey.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("reading the authority that signs: %s cannot sign", pair.KeyFile)
		}
		return &certificates.Authority{Certificate: loaded.Leaf, Key: key, Duration: o.duration}, nil
	}
	if _, err := read(); err != nil {
		return nil, fmt.Errorf("--cluster-signing-cert-file: %w", err)
	}
	return read, nil
}
