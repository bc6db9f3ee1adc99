package main

import (
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apiserver/pkg/authentication/authenticator"

	"github.com/portico-api/portico/delegation/core"
	"github.com/portico-api/portico/handler/authentication/serviceaccount"
	"github.com/portico-api/portico/metrics"
)

// tokenOptions are the flags about tokens of service accounts.
type tokenOptions struct {
	issuers     []string
	audiences   []string
	keyFiles    []string
	signingKey  string
	keysURI     string
	maxLifetime time.Duration
	extend      bool
}

// minMaxLifetime is the shortest that the longest token may live.
const minMaxLifetime = time.Hour

func (o *tokenOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&o.issuers, "service-account-issuer", []string{"https://kubernetes.default.svc.cluster.local"}, "Who issues tokens of service accounts. The first one signs; tokens of all are accepted.")
	flags.StringSliceVar(&o.audiences, "api-audiences", nil, "Audiences of which a token must name one; empty for --service-account-issuer.")
	flags.StringVar(&o.signingKey, "service-account-signing-key-file", "", "PEM file with the private key that signs tokens, instead of one made in the data directory.")
	flags.StringSliceVar(&o.keyFiles, "service-account-key-file", nil, "PEM files with more keys that tokens are verified with, public or private: those of former signing keys.")
	flags.StringVar(&o.keysURI, "service-account-jwks-uri", "", "https URL at which others find the keys of tokens; empty for this server's own.")
	flags.DurationVar(&o.maxLifetime, "service-account-max-token-expiration", 0, "The longest that a token may live; 0s for no limit.")
	flags.BoolVar(&o.extend, "service-account-extend-token-expiration", true, "Make tokens that kubelets ask for good for a year, with a warning after the time they asked for.")
}

func (o *tokenOptions) validate() error {
	if len(o.issuers) == 0 {
		return fmt.Errorf("--service-account-issuer is empty: name at least the one that signs")
	}
	for _, issuer := range o.issuers {
		if issuer == "" {
			return fmt.Errorf("--service-account-issuer holds an empty name: give a URL, such as https://api.example.com")
		}
		if _, err := url.Parse(issuer); err != nil {
			return fmt.Errorf("--service-account-issuer %q is no URL: give one such as https://api.example.com", issuer)
		}
	}
	if o.keysURI != "" {
		if u, err := url.Parse(o.keysURI); err != nil || u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("--service-account-jwks-uri %q is no https URL: give one, or leave it out for this server's own", o.keysURI)
		}
	}
	if o.maxLifetime < 0 || o.maxLifetime > 0 && o.maxLifetime < minMaxLifetime {
		return fmt.Errorf("--service-account-max-token-expiration %v is too short: choose %v or more, or 0s for no limit", o.maxLifetime, minMaxLifetime)
	}
	return nil
}

// lateObjects are what tokens are bound to. The verifier stands before the units that keep them, so it is made before
// them; they are here before the first request.
type lateObjects struct{ serviceaccount.Objects }

// lateTokens are late for the same reason.
type lateTokens struct{ authenticator.Token }

// accounts are what makes and what verifies tokens of service accounts, and of programs that have none yet.
type accounts struct {
	tokens   *core.Tokens
	verifier *serviceaccount.Verifier
	objects  *lateObjects
	joining  *lateTokens // nil when nobody may join with a token from a secret
}

// newAccounts reads the keys. madeKey signs unless a flag names another one, and address is where others reach this server.
func (o *tokenOptions) newAccounts(madeKey, address string, m *metrics.Authentication) (*accounts, error) {
	issuer, err := serviceaccount.NewIssuer(o.issuers[0], or(o.signingKey, madeKey))
	if err != nil {
		return nil, fmt.Errorf("--service-account-signing-key-file: %w", err)
	}
	keys := []serviceaccount.PublicKey{issuer.Key()}
	for _, file := range o.keyFiles {
		more, err := serviceaccount.ReadPublicKeys(file)
		if err != nil {
			return nil, fmt.Errorf("--service-account-key-file: %w", err)
		}
		keys = append(keys, more...)
	}
	audiences := o.audiences
	if len(audiences) == 0 {
		audiences = o.issuers
	}
	documents, err := serviceaccount.NewDocuments(o.issuers[0], or(o.keysURI, "https://"+address+serviceaccount.KeysPath), keys)
	if err != nil {
		return nil, err
	}
	objects := &lateObjects{}
	return &accounts{
		tokens: &core.Tokens{
			Issuer: issuer, Audiences: audiences, MaxLifetime: o.maxLifetime, Extend: o.extend, Documents: documents,
		},
		verifier: serviceaccount.NewVerifier(serviceaccount.Config{Issuers: o.issuers, Keys: keys, Audiences: audiences, Objects: objects, Metrics: m}),
		objects:  objects,
	}, nil
}
