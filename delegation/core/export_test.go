package core

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/portico-api/portico/delegation/admission"
	"github.com/portico-api/portico/delegation/controller"
	"github.com/portico-api/portico/delegation/core/certificates"
	"github.com/portico-api/portico/delegation/core/quota"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/authentication/serviceaccount"
)

// DeclaredResources are all declarations of this package by resource name.
func DeclaredResources() map[string]registry.Resource {
	expressions := admission.NewHooks(admission.Config{}).Expressions()
	all := []registry.Resource{
		namespaces(), configMaps(), secrets(), serviceAccounts(), services(), endpoints(), events(time.Hour),
		certificates.Requests(), quota.ResourceQuotas(), quota.LimitRanges(), leases(), flowSchemas(), priorityLevelConfigurations(),
		mutatingWebhookConfigurations(expressions), validatingWebhookConfigurations(expressions),
		validatingAdmissionPolicies(expressions), validatingAdmissionPolicyBindings(),
		mutatingAdmissionPolicies(expressions), mutatingAdmissionPolicyBindings(),
		endpointSlices(),
	}
	byName := make(map[string]registry.Resource, len(all))
	for _, r := range all {
		byName[r.Name] = r
	}
	return byName
}

// EventsView is events in their newer group.
func EventsView() registry.View { return eventsView() }

// MergeTrust is what the config map holds after t was published over stored.
func MergeTrust(t Trust, stored map[string]string, now time.Time) map[string]string {
	return t.mergeInto(stored, now)
}

// Follower is what a service index follows.
type Follower = follower

// NewServices is a service index on other followers than registries.
func NewServices(services, slices, endpoints Follower) *Services {
	return newServices(services, slices, endpoints)
}

// NewLifecycle is the admission of namespaces and of what lives in them, on other sources than a registry.
func NewLifecycle(namespaces Follower, read func(context.Context, string) (*corev1.Namespace, error)) (registry.Admission, *NamespaceLifecycle) {
	guard := newNamespaceGuard()
	return guard, &NamespaceLifecycle{namespaces: func() follower { return namespaces }, read: read, guard: guard}
}

// Know puts an active namespace into the index.
func (l *NamespaceLifecycle) Know(name string) { l.ending.Store(name, false) }

// LookedAtAgain is how many of the namespaces that end or are left are looked at when content of
// others has changed.
func LookedAtAgain(ending, left []string) int {
	d := &namespaceDeletion{ending: make(map[string]bool)}
	for _, name := range slices.Concat(ending, left) {
		d.note(name, true)
	}
	for _, name := range left {
		d.note(name, false)
	}
	queue := controller.NewQueue("test", nil)
	d.lookAgain(queue)
	waiting := queue.Len()
	ended, end := context.WithCancel(context.Background())
	end()
	_ = queue.Run(ended, 0) // ends what the queue runs
	return waiting
}

// RenewIdentityLease tells in leases that a replica lives at a time.
func RenewIdentityLease(ctx context.Context, leases *registry.Store, replica Replica, now time.Time) error {
	l := newIdentityLease(leases, replica, nil)
	l.now = func() time.Time { return now }
	return l.renew(ctx)
}

// CleanIdentityLeases deletes what has run out at a time.
func CleanIdentityLeases(ctx context.Context, leases *registry.Store, now time.Time) error {
	return (&identityLeaseCleaner{leases, func() time.Time { return now }}).clean(ctx)
}

// FillTokenSecret fills a secret as it was seen.
func FillTokenSecret(ctx context.Context, secrets *registry.Store, issuer *serviceaccount.Issuer, seen *corev1.Secret, account *corev1.ServiceAccount) error {
	return (&tokenSecrets{secrets: secrets, issuer: issuer}).fill(ctx, seen, account)
}

// ValidateFinalizerNames is the rule that all built-in kinds have.
var ValidateFinalizerNames = validateFinalizerNames
