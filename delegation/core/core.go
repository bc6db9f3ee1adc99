package core

import (
	"context"
	"errors"
	"fmt"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/core/certificates"
	"github.com/portico-api/portico/delegation/hookclient"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/fieldtypes"
	"github.com/portico-api/portico/handler/authorization"
)

// name is the unit's, in logs and errors.
const name = "kube-apiserver"

// Config is what the unit needs beyond what all units share.
type Config struct {
	// Registry is the store and the scheme (NewScheme); its Admission and Types are not looked at: the
	// unit brings its own, and knows its kinds.
	Registry registry.Config
	// RBAC is fed from the stored roles and bindings; nil when something else authorizes.
	RBAC *authorization.RBAC
	// Rules answers SelfSubjectRulesReviews.
	Rules authorizer.RuleResolver
	// Trust is published to extension API servers and to programs in each namespace; nil publishes nothing.
	Trust TrustSource
	// Leadership lets only one of several replicas run the controllers that write; nil means that there is one replica.
	Leadership Leadership
	// SigningAuthority signs certificates that were approved; it is asked anew for each, and nil signs none.
	SigningAuthority func() (*certificates.Authority, error)
	// Tokens makes tokens of service accounts; nil makes none.
	Tokens *Tokens
	// BootstrapTokens has secrets with tokens for programs that have nothing else deleted when they end.
	BootstrapTokens bool
	// Replica is which of several this server is; the zero value tells nobody.
	Replica Replica
	// EventTTL is how long an event is kept after its last write; 0 means one hour.
	EventTTL time.Duration
	// NamespacedContent is what a namespace's deletion has to empty beyond this unit. It is called anew
	// each time, because there may be more of it, and only while the unit runs; nil means none.
	NamespacedContent func() []delegation.NamespacedContent
	// SubscribeNamespacedContent has on called when some of it can be emptied that could not be, or
	// need not be any more. It is called once the unit runs; nil leaves it to the periodic look.
	SubscribeNamespacedContent func(on func()) (stop func())
	// ServiceAddresses is where webhooks are that are behind services; nil reaches none.
	ServiceAddresses hookclient.Addresses
	// WorkloadAPIs adds the kinds of pods and what they need, as data; the scheme must know them (workload.AddToScheme).
	WorkloadAPIs bool
	// DisableGarbageCollection leaves objects whose owners are gone, and those whose deletion waits for their
	// dependents, to another collector.
	DisableGarbageCollection bool
	// CustomResources are counted for quotas and taken as parameters of policies; nil means that there are none.
	CustomResources CustomResources
	// OwnedResources are what the garbage collector follows beyond this unit, called as NamespacedContent is; nil
	// means none. SubscribeOwnedResources has on called when there are others.
	OwnedResources          func() []delegation.OwnedResource
	SubscribeOwnedResources func(on func()) (stop func())
}

// CustomResources finds where objects are kept that are defined by users, as the first to ask has them read.
type CustomResources interface {
	OfKind(ctx context.Context, kind schema.GroupVersionKind) (registry.Resource, *registry.Store, bool)
	OfResource(ctx context.Context, resource schema.GroupResource) (*registry.Store, bool)
}

// Server is the middle unit: the built-in groups and what keeps their objects in order.
type Server struct {
	*delegation.GenericAPIServer

	stores     *stores
	services   *Services
	admissions *admissions
	namespaces *systemNamespaces
}

// New opens the built-in resources, which lives as long as the store does, and installs their
// groups in front of delegate. ctx bounds the opening.
func New(ctx context.Context, cfg Config, generic *delegation.Config, delegate delegation.DelegationTarget) (*Server, error) {
	if cfg.Registry.Store == nil || cfg.Registry.Scheme == nil {
		return nil, errors.New("creating the core unit: it needs a store and a scheme")
	}
	if cfg.EventTTL == 0 {
		cfg.EventTTL = time.Hour
	}
	config := *generic
	config.EnableDiscovery = true
	unit, err := config.New(name, delegate)
	if err != nil {
		return nil, err
	}

	cfg.Registry.Types = fieldtypes.New(cfg.Registry.Scheme, cfg.fieldTypes())
	var opened *stores // asked for from the first request on
	admissions := newAdmissions(cfg, generic, func() *stores { return opened })
	namespaceConfig := cfg.Registry
	namespaceConfig.Admission = admissions.namespaces
	cfg.Registry.Admission = admissions.others
	namespaces, err := registry.New(ctx, namespaceConfig, namespaces())
	if err != nil {
		return nil, fmt.Errorf("opening namespaces: %w", err)
	}
	if opened, err = openStores(ctx, cfg, namespaces, admissions.hooks.Expressions()); err != nil {
		return nil, err
	}
	if err := admissions.hooks.Load(ctx, opened.hookStores()); err != nil {
		return nil, fmt.Errorf("reading webhooks and policies: %w", err)
	}
	s := &Server{
		GenericAPIServer: unit,
		stores:           opened,
		services:         newServices(opened.services, opened.endpointSlices, opened.endpoints),
		admissions:       admissions,
		namespaces:       newSystemNamespaces(namespaces),
	}
	if err := s.installGroups(cfg, generic); err != nil {
		return nil, err
	}
	if cfg.Tokens != nil && cfg.Tokens.Documents != nil {
		s.installTokenDocuments(cfg.Tokens.Documents)
	}
	if err := s.addControllers(cfg, generic); err != nil {
		return nil, err
	}
	return s, nil
}

// Services is where services really are, for whoever connects to them.
func (s *Server) Services() *Services { return s.services }

// Admission is what every resource of this unit but namespaces is asked by, for resources of other units.
func (s *Server) Admission() registry.Admission { return s.admissions.others }

// installGroups installs the groups in the order in which discovery lists them (contract 8.1).
func (s *Server) installGroups(cfg Config, generic *delegation.Config) error {
	groups := groupResources(s.stores.rest(cfg, generic), cfg.fieldTypes())
	if err := s.InstallLegacyAPIGroup("/api", groups("", "v1")); err != nil {
		return err
	}
	return s.InstallAPIGroups(append(cfg.workloadGroups(groups),
		groups(authenticationv1.GroupName, "v1"),
		groups(authorizationv1.GroupName, "v1"),
		groups(certificatesv1.GroupName, "v1"),
		groups(coordinationv1.GroupName, "v1"),
		groups(rbacv1.GroupName, "v1"),
		groups(flowcontrolv1.GroupName, "v1"),
		groups(admissionregistrationv1.GroupName, "v1"),
		groups(discoveryv1.GroupName, "v1"),
		groups(eventsv1.GroupName, "v1"),
	)...)
}
