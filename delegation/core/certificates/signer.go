package certificates

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/delegation/controller"
	"github.com/portico-api/portico/delegation/registry"
)

const (
	// backdating is for clocks that are behind ours.
	backdating = 5 * time.Minute
	// DefaultDuration is how long a certificate lives whose request does not say.
	DefaultDuration = 365 * 24 * time.Hour
)

// Authority signs certificates.
type Authority struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
	// Duration is how long what it signs lives at most; 0 means DefaultDuration.
	Duration time.Duration
}

// Signer signs what was approved for the signers that every cluster has, with the authority that clients are trusted by.
type Signer struct {
	requests  *registry.Store
	authority func() (*Authority, error)
	now       func() time.Time
}

// NewSigner returns a signer of what is in requests. authority is asked for each certificate, because it is renewed.
func NewSigner(requests *registry.Store, authority func() (*Authority, error)) *Signer {
	return &Signer{requests: requests, authority: authority, now: time.Now}
}

// Run signs until ctx ends.
func (s *Signer) Run(ctx context.Context, started func()) error {
	queue := controller.NewQueue("certificate", s.settle)
	return queue.Run(ctx, 1,
		func(ctx context.Context) error {
			return s.requests.Follow(ctx, func(change registry.Change) {
				if r := change.Object.(*csr); !change.Deleted && isDue(r) {
					queue.Add(r.Name)
				}
			}, started)
		},
	)
}

// isDue tells whether a request waits for its certificate.
func isDue(r *csr) bool {
	return is(r, certificatesv1.CertificateApproved) && condition(r, certificatesv1.CertificateFailed) == nil && len(r.Status.Certificate) == 0 &&
		slices.Contains([]string{certificatesv1.KubeAPIServerClientSignerName, certificatesv1.KubeAPIServerClientKubeletSignerName, certificatesv1.KubeletServingSignerName}, r.Spec.SignerName)
}

// settle signs one request, or says in its conditions why it cannot be signed.
func (s *Signer) settle(ctx context.Context, name string) (again time.Duration, err error) {
	r, err := registry.GetAs[*csr](ctx, s.requests, "", name)
	switch {
	case apierrors.IsNotFound(err):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("reading request %s: %w", name, err)
	case !isDue(r):
		return 0, nil
	}
	signed, err := s.sign(r)
	if refused := (*refusal)(nil); errors.As(err, &refused) {
		err = s.finish(ctx, r, func(r *csr) { refuse(r, refused.why) })
	} else if err == nil {
		err = s.finish(ctx, r, func(r *csr) { r.Status.Certificate = signed })
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return 0, fmt.Errorf("signing request %s: %w", name, err)
	}
	return 0, nil
}

// finish writes what has become of a request, unless another one has its name now or somebody was faster.
func (s *Signer) finish(ctx context.Context, seen *csr, write func(r *csr)) error {
	_, err := registry.UpdateStatusAs(ctx, s.requests, "", seen.Name, func(r *csr) error {
		if r.UID == seen.UID && isDue(r) {
			write(r)
		}
		return nil
	})
	return err
}

func refuse(r *csr, why string) {
	r.Status.Conditions = append(r.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: certificatesv1.CertificateFailed, Status: corev1.ConditionTrue, Reason: "SignerValidationFailure", Message: why,
	})
}

// refusal is why a signer does not sign what was approved.
type refusal struct{ why string }

func (r *refusal) Error() string { return r.why }

// subject is what of a request's subject is certified: who, and of which groups. Whatever else it says has been looked at by nobody, and
// might mean something to whom the certificate is shown.
func subject(request *x509.CertificateRequest) pkix.Name {
	return pkix.Name{CommonName: request.Subject.CommonName, Organization: request.Subject.Organization}
}

// sign makes the certificate of a request, in PEM.
func (s *Signer) sign(r *csr) ([]byte, error) {
	request, err := ParseRequest(r.Spec.Request)
	if err != nil {
		return nil, &refusal{"parsing the request: " + err.Error()}
	}
	if why := permits(r, request); why != "" {
		return nil, &refusal{why}
	}
	authority, err := s.authority()
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("choosing a serial number: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject(request),
		DNSNames:     request.DNSNames, IPAddresses: request.IPAddresses, EmailAddresses: request.EmailAddresses, URIs: request.URIs,
		NotBefore:             s.now().Add(-backdating),
		NotAfter:              s.until(r, authority),
		BasicConstraintsValid: true,
	}
	template.KeyUsage, template.ExtKeyUsage = used(r.Spec.Usages)
	if template.NotAfter.Before(s.now()) {
		return nil, errors.New("the authority's certificate has ended")
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority.Certificate, request.PublicKey, authority.Key)
	if err != nil {
		return nil, fmt.Errorf("making the certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// until is when a certificate ends: when its request says, but not after what the authority allows, nor after itself.
func (s *Signer) until(r *csr, a *Authority) time.Time {
	life := a.Duration
	if life == 0 {
		life = DefaultDuration
	}
	if seconds := r.Spec.ExpirationSeconds; seconds != nil {
		life = min(life, time.Duration(*seconds)*time.Second)
	}
	end := s.now().Add(life)
	if a.Certificate.NotAfter.Before(end) {
		return a.Certificate.NotAfter
	}
	return end
}

// permits tells why a signer does not sign a request; empty when it does. These are the rules that Kubernetes documents of its
// signers.
func permits(r *csr, request *x509.CertificateRequest) string {
	common := []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageKeyEncipherment}
	switch r.Spec.SignerName {
	case certificatesv1.KubeAPIServerClientSignerName:
		return permitsUsages(r, certificatesv1.UsageClientAuth, common)
	case certificatesv1.KubeAPIServerClientKubeletSignerName:
		if why := permitsNode(request.Subject); why != "" {
			return why
		}
		if len(request.DNSNames)+len(request.IPAddresses)+len(request.EmailAddresses)+len(request.URIs) > 0 {
			return "subject alternative names are not allowed"
		}
		return permitsUsages(r, certificatesv1.UsageClientAuth, common)
	}
	if why := permitsNode(request.Subject); why != "" {
		return why
	}
	if len(request.DNSNames)+len(request.IPAddresses) == 0 || len(request.EmailAddresses)+len(request.URIs) > 0 {
		return "subject alternative names must be DNS names or IP addresses, and at least one"
	}
	return permitsUsages(r, certificatesv1.UsageServerAuth, common)
}

func permitsNode(subject pkix.Name) string {
	if !slices.Equal(subject.Organization, []string{user.NodesGroup}) {
		return "subject organization is not " + user.NodesGroup
	}
	if !strings.HasPrefix(subject.CommonName, "system:node:") {
		return "subject common name does not begin with system:node:"
	}
	return ""
}

func permitsUsages(r *csr, needed certificatesv1.KeyUsage, allowed []certificatesv1.KeyUsage) string {
	if !slices.Contains(r.Spec.Usages, needed) {
		return fmt.Sprintf("usages did not include %q", needed)
	}
	for _, usage := range r.Spec.Usages {
		if usage != needed && !slices.Contains(allowed, usage) {
			return fmt.Sprintf("usage %q is not allowed by this signer", usage)
		}
	}
	return ""
}
