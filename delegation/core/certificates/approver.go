package certificates

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/delegation/controller"
	"github.com/portico-api/portico/delegation/registry"
)

const (
	// A request that its author may not have approved without being asked is looked at again after half of its age, within these:
	// somebody may allow it. It costs a decision of the authorizer.
	firstApprovalRecheck = time.Second
	lastApprovalRecheck  = 15 * time.Minute
)

// Approver approves what kubelets ask for, when whoever asks may have it so: who may create certificatesigningrequests/nodeclient gets
// any node's client certificate, and who may create certificatesigningrequests/selfnodeclient its own.
type Approver struct {
	requests   *registry.Store
	authorizer authorizer.Authorizer
	now        func() time.Time
}

// NewApprover returns an approver of requests that asks a.
func NewApprover(requests *registry.Store, a authorizer.Authorizer) *Approver {
	return &Approver{requests: requests, authorizer: a, now: time.Now}
}

// Run approves until ctx ends.
func (a *Approver) Run(ctx context.Context, started func()) error {
	queue := controller.NewQueue("certificate-approver", a.settle)
	return queue.Run(ctx, 1,
		func(ctx context.Context) error {
			return a.requests.Follow(ctx, func(change registry.Change) {
				if r := change.Object.(*csr); !change.Deleted && change.Old == nil && isOpen(r) {
					queue.Add(r.Name)
				}
			}, started)
		},
	)
}

// isOpen tells whether a request is for the signer of kubelets and waits for its verdict.
func isOpen(r *csr) bool {
	return r.Spec.SignerName == certificatesv1.KubeAPIServerClientKubeletSignerName && len(r.Status.Certificate) == 0 &&
		condition(r, certificatesv1.CertificateApproved) == nil && condition(r, certificatesv1.CertificateDenied) == nil
}

// settle approves one request, or asks to be called again while it may yet be allowed.
func (a *Approver) settle(ctx context.Context, name string) (again time.Duration, err error) {
	r, err := registry.GetAs[*csr](ctx, a.requests, "", name)
	switch {
	case apierrors.IsNotFound(err):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("reading request %s: %w", name, err)
	case !isOpen(r):
		return 0, nil
	}
	rights := rightsToApproval(r)
	if len(rights) == 0 {
		return 0, nil // a human may think otherwise
	}
	for _, right := range rights {
		allowed, err := a.allows(ctx, r, right.subresource)
		if err != nil {
			return 0, err
		}
		if allowed {
			return 0, a.approve(ctx, r, right.message)
		}
	}
	return min(max(a.now().Sub(r.CreationTimestamp.Time)/2, firstApprovalRecheck), lastApprovalRecheck), nil
}

// right is a permission that makes up for a human's verdict.
type right struct{ subresource, message string }

// rightsToApproval are those that would do for a request; none when it is not what a kubelet asks for.
func rightsToApproval(r *csr) []right {
	request, err := ParseRequest(r.Spec.Request)
	if err != nil || !isKubelets(r, request) {
		return nil
	}
	var rights []right
	if r.Spec.Username == request.Subject.CommonName {
		rights = append(rights, right{"selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview."})
	}
	return append(rights, right{"nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."})
}

// isKubelets tells whether a request is what a kubelet's client would ask for. The key of an elliptic curve enciphers nothing, so that
// usage may be missing.
func isKubelets(r *csr, request *x509.CertificateRequest) bool {
	return permits(r, request) == "" && slices.Contains(r.Spec.Usages, certificatesv1.UsageDigitalSignature)
}

func (a *Approver) allows(ctx context.Context, r *csr, subresource string) (bool, error) {
	extra := map[string][]string{}
	for key, values := range r.Spec.Extra {
		extra[key] = values
	}
	decision, _, err := a.authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User: &user.DefaultInfo{Name: r.Spec.Username, UID: r.Spec.UID, Groups: r.Spec.Groups, Extra: extra},
		Verb: "create", APIGroup: certificatesv1.GroupName, APIVersion: "*", Resource: "certificatesigningrequests", Subresource: subresource,
		ResourceRequest: true,
	})
	if decision == authorizer.DecisionAllow {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("authorizing %s of request %s: %w", subresource, r.Name, err)
	}
	return false, nil
}

func (a *Approver) approve(ctx context.Context, seen *csr, message string) error {
	_, err := registry.UpdateSubresourceAs(ctx, a.requests, Approval(), "", seen.Name, func(r *csr) error {
		if r.UID != seen.UID || !isOpen(r) {
			return nil // somebody was faster
		}
		r.Status.Conditions = append(r.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
			Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "AutoApproved", Message: message,
		})
		return nil
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("approving request %s: %w", seen.Name, err)
	}
	return nil
}
