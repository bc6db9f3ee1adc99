package certificates

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler"
)

// Guard is the admission of requests for certificates: who may give a verdict and who may sign is decided by signer, and nobody
// asks for a certificate of the group that may do everything.
type Guard struct{ authorizer authorizer.Authorizer }

// NewGuard returns a guard that asks a.
func NewGuard(a authorizer.Authorizer) *Guard { return &Guard{a} }

// Admit has nothing to change.
func (g *Guard) Admit(context.Context, *registry.Request) error { return nil }

// Validate refuses what must not be asked for, and verdicts and certificates of who may not give them. What this server does by itself
// comes in no request of a client and is let through.
func (g *Guard) Validate(ctx context.Context, r *registry.Request) error {
	asked, isRequest := r.Object.(*csr)
	client, fromClient := handler.RequestFrom(ctx)
	if !isRequest || !fromClient {
		return nil
	}
	switch {
	case r.Operation == registry.Create:
		return refuseMasters(r, asked)
	case r.Operation != registry.Update:
		return nil
	case r.Subresource == "approval":
		return g.ask(ctx, client.User, "approve", r, r.Old.(*csr))
	case r.Subresource == "status" && signs(asked, r.Old.(*csr)):
		return g.ask(ctx, client.User, "sign", r, r.Old.(*csr))
	}
	return nil
}

func refuseMasters(r *registry.Request, asked *csr) error {
	if asked.Spec.SignerName != certificatesv1.KubeAPIServerClientSignerName {
		return nil
	}
	request, err := ParseRequest(asked.Spec.Request)
	if err != nil {
		return nil // it has been refused for that
	}
	if slices.Contains(request.Subject.Organization, user.SystemPrivilegedGroup) {
		return apierrors.NewForbidden(r.Resource.GroupResource(), r.Name,
			fmt.Errorf("use of %s signer with %s group is not allowed", asked.Spec.SignerName, user.SystemPrivilegedGroup))
	}
	return nil
}

// signs tells whether an update writes what only a signer may.
func signs(r, old *csr) bool {
	return string(r.Status.Certificate) != string(old.Status.Certificate) || !apiequality.Semantic.DeepEqual(r.Status.Conditions, old.Status.Conditions)
}

// ask asks whether u may do what verb says for the signer, or for all of its domain.
func (g *Guard) ask(ctx context.Context, u user.Info, verb string, r *registry.Request, of *csr) error {
	domain, _, _ := strings.Cut(of.Spec.SignerName, "/")
	for _, signer := range []string{of.Spec.SignerName, domain + "/*"} {
		decision, _, err := g.authorizer.Authorize(ctx, authorizer.AttributesRecord{
			User: u, Verb: verb, APIGroup: certificatesv1.GroupName, APIVersion: "*", Resource: "signers", Name: signer, ResourceRequest: true,
		})
		if decision == authorizer.DecisionAllow {
			return nil
		}
		if err != nil {
			return fmt.Errorf("authorizing to %s for signer %s: %w", verb, signer, err)
		}
	}
	return apierrors.NewForbidden(r.Resource.GroupResource(), r.Name, errors.New("user not permitted to "+verb+" requests with signerName \""+of.Spec.SignerName+"\""))
}
