package serviceaccount

import (
	"crypto"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
)

// Issuer makes tokens.
type Issuer struct {
	name   string
	signer crypto.Signer
	key    PublicKey
	now    func() time.Time
}

// NewIssuer returns an issuer of a name that signs with the private key in a PEM file.
func NewIssuer(name, keyFile string) (*Issuer, error) {
	signer, key, err := readSigner(keyFile)
	if err != nil {
		return nil, err
	}
	return &Issuer{name: name, signer: signer, key: key, now: time.Now}, nil
}

// Key is what the issuer's tokens are verified with.
func (i *Issuer) Key() PublicKey { return i.key }

// Request is what a token is asked for.
type Request struct {
	Namespace string
	Account   Reference
	Audiences []string
	Lifetime  time.Duration
	// WarnAfter is when whoever uses the token had better fetch a new one; 0 does not warn.
	WarnAfter time.Duration
	// One of these at most, but for a pod's node.
	Pod, Secret, Node *Reference
}

// Issue makes a token, and tells when it ends.
func (i *Issuer) Issue(r Request) (token string, ends time.Time, err error) {
	now := i.now().Truncate(time.Second)
	ends = now.Add(r.Lifetime)
	c := claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    i.name,
			Subject:   serviceaccount.MakeUsername(r.Namespace, r.Account.Name),
			Audience:  r.Audiences,
			IssuedAt:  jwt.NewNumericDate(now),
			NotBefore: jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(ends),
			ID:        uuid.NewString(),
		},
		Kubernetes: &bindings{Namespace: r.Namespace, ServiceAccount: r.Account, Pod: r.Pod, Secret: r.Secret, Node: r.Node},
	}
	if r.WarnAfter > 0 {
		c.Kubernetes.WarnAfter = jwt.NewNumericDate(now.Add(r.WarnAfter))
	}
	token, err = i.sign(&c)
	return token, ends, err
}

// IssueLegacy makes a token without an end, for a secret to hold.
func (i *Issuer) IssueLegacy(namespace string, account Reference, secret string) (string, error) {
	return i.sign(&claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:  LegacyIssuer,
			Subject: serviceaccount.MakeUsername(namespace, account.Name),
		},
		LegacyNamespace: namespace, LegacySecret: secret, LegacyAccount: account.Name, LegacyAccountUID: account.UID,
	})
}

func (i *Issuer) sign(c *claims) (string, error) {
	t := jwt.NewWithClaims(i.key.method, c)
	t.Header["kid"] = i.key.ID
	delete(t.Header, "typ") // as upstream's tokens
	token, err := t.SignedString(i.signer)
	if err != nil {
		return "", fmt.Errorf("signing a token for %s: %w", c.Subject, err)
	}
	return token, nil
}
