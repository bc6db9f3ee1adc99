package authentication

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/metrics"
)

// clientCertificate knows users by their certificate: the common name is the user, the organizations are the groups.
type clientCertificate struct {
	verifier *verifier
	metrics  *metrics.Authentication
}

func newClientCertificate(ca CASource, m *metrics.Authentication) *clientCertificate {
	return &clientCertificate{
		verifier: &verifier{
			ca:       ca,
			slot:     func(c *connection) *atomic.Pointer[verdict] { return &c.client },
			identify: userOf,
		},
		metrics: m,
	}
}

func (a *clientCertificate) AuthenticateRequest(r *http.Request) (*authenticator.Response, bool, error) {
	now := time.Now()
	d := a.verifier.verify(r, now)
	if d == nil {
		return nil, false, nil
	}
	// For every request, not for every verification: the alerts on it look at what is in use now.
	a.metrics.CertificateExpiration(d.leaf.NotAfter.Sub(now))
	return d.response, d.response != nil, d.err
}

// userOf has no opinion on a certificate without a common name.
func userOf(leaf *x509.Certificate) (*authenticator.Response, error) {
	name := leaf.Subject.CommonName
	if name == "" {
		return nil, nil
	}
	uid, err := uidOf(leaf)
	if err != nil {
		return nil, fmt.Errorf("reading the UID in the client certificate of %q: %w", name, err)
	}
	fingerprint := sha256.Sum256(leaf.Raw)
	return &authenticator.Response{User: &user.DefaultInfo{
		Name:   name,
		UID:    uid,
		Groups: withAuthenticated(name, leaf.Subject.Organization),
		Extra:  map[string][]string{user.CredentialIDKey: {"X509SHA256=" + hex.EncodeToString(fingerprint[:])}},
	}}, nil
}

// uidOf reads the subject's attribute for a Kubernetes UID, which there may be one of.
func uidOf(leaf *x509.Certificate) (string, error) {
	oid := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57683, 2}
	uid, found := "", false
	for _, attribute := range leaf.Subject.Names {
		if !attribute.Type.Equal(oid) {
			continue
		}
		text, ok := attribute.Value.(string)
		switch {
		case !ok:
			return "", errors.New("it is not a string")
		case text == "":
			return "", errors.New("it is empty")
		case found:
			return "", errors.New("there is more than one")
		}
		uid, found = text, true
	}
	return uid, nil
}
