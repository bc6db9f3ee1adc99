package extensions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/controller"
	"github.com/portico-api/portico/delegation/hookclient"
	"github.com/portico-api/portico/delegation/registry"
	types "github.com/portico-api/portico/delegation/registry/fieldtypes"
	"github.com/portico-api/portico/handler/rest"
)

// groupName is the API group in which custom resources are defined.
const groupName = "apiextensions.k8s.io"

// Config is what the unit needs beyond what all units share.
type Config struct {
	// Registry is the store and the scheme; its Types are not looked at, and its Admission is Admission.
	Registry registry.Config
	// Admission is asked about definitions and custom resources; it is asked for from the first write on. Nil admits everything.
	Admission func() registry.Admission
	// ServiceAddresses is where webhooks are that convert and are behind services; nil reaches none.
	ServiceAddresses hookclient.Addresses
	// Leadership lets only one of several replicas run what writes; nil means that there is one replica.
	Leadership Leadership
}

// Leadership lets one of several replicas work.
type Leadership interface {
	While(ctx context.Context, lead func(ctx context.Context) error) error
}

// Server is the unit of custom resources.
type Server struct {
	*delegation.GenericAPIServer

	definitions *registry.Store
	turns       *turns
	resources   *customResources
	catalog     *catalog
	discovery   *groupVersions
	leadership  Leadership
	// synced is closed when every resource that was defined before the start is served. Until then
	// its path may not be called unknown.
	synced chan struct{}
}

// New opens the definitions, which lives as long as the store does, and returns the unit in front of delegate. generic is shared with the other
// units and is not changed. ctx bounds the opening.
func New(ctx context.Context, cfg Config, generic *delegation.Config, delegate delegation.DelegationTarget) (*Server, error) {
	if cfg.Registry.Store == nil || cfg.Registry.Scheme == nil {
		return nil, errors.New("creating the extensions unit: it needs a store and a scheme")
	}
	config := *generic
	// Custom resources appear in the aggregator's /apis. Claiming the path here would hide it.
	config.EnableDiscovery = false
	unit, err := config.New("apiextensions-apiserver", delegate)
	if err != nil {
		return nil, err
	}
	if cfg.Admission != nil {
		cfg.Registry.Admission = lateAdmission(cfg.Admission)
	}
	s := &Server{
		GenericAPIServer: unit,
		leadership:       cfg.Leadership,
		synced:           make(chan struct{}),
	}
	own := cfg.Registry
	own.Types = types.New(cfg.Registry.Scheme, fieldTypes)
	if own.Admission != nil {
		own.Admission = considerate{own.Admission}
	}
	resource := definitions(time.Now)
	if s.definitions, err = registry.New(ctx, own, resource); err != nil {
		return nil, fmt.Errorf("creating the extensions unit: %w", err)
	}
	m := &maker{
		definitions: s.definitions,
		registry:    cfg.Registry,
		clients:     hookclient.NewClients(cfg.ServiceAddresses, config.UserAgent, config.Metrics.WebhookPeers),
		metrics:     config.Metrics.Extensions,
		replicas:    cfg.Leadership != nil,
		direct: rest.NewDirect(rest.Config{
			Metrics:           config.Metrics.Requests,
			MinRequestTimeout: config.MinRequestTimeout,
			Stopping:          config.Lifecycle.WatchesTerminating.Signaled(),
			Authorizer:        config.Authorizer,
		}),
	}
	s.turns = &turns{weigh: m.weigh, company: company{asked: config.Metrics.Requests.Entered}}
	docs := newDocuments(config.OpenAPI, config.Version.GitVersion, m.stored)
	s.discovery = newGroupVersions(config.Discovery, docs)
	s.resources = newCustomResources(delegate.UnprotectedHandler(), s.discovery)
	s.catalog = newCatalog(s.definitions, s.resources, m, s.discovery)
	s.resources.catchUp = s.catalog.catchUp
	if err := s.install(); err != nil {
		return nil, fmt.Errorf("creating the extensions unit: %w", err)
	}
	return s, nil
}

func (s *Server) install() error {
	resource := bounded(s.turns.givenTo(s.definitions.Rest()))
	resource.Storage = &inTurns{s.definitions, s.turns}
	err := s.InstallAPIGroups(&delegation.APIGroupInfo{
		Group:      groupName,
		Versions:   []delegation.APIVersion{{Version: "v1", Resources: []*rest.Resource{resource}}},
		FieldTypes: fieldTypes,
	})
	if err != nil {
		return err
	}
	mux := s.Handler.NonGoRestfulMux
	mux.Handle("/apis", s.resources)
	mux.HandlePrefix("/apis/", s.resources)

	if err := s.AddMuxCompleteSignal("CRDInformerHasNotSynced", s.synced); err != nil {
		return err
	}
	synced := make(chan struct{})
	return errors.Join(
		s.AddInformer("start-apiextensions-informers", func(ctx context.Context, started func()) error {
			return s.catalog.run(ctx, func() { close(synced); started() })
		}),
		s.AddController("start-apiextensions-controllers", func(ctx context.Context, started func()) error {
			started()
			select { // who gives names must know who has which
			case <-synced:
				return s.lead(ctx)
			case <-ctx.Done():
				return ctx.Err()
			}
		}),
		s.AddPostStartHook("crd-informer-synced", func(ctx context.Context) error {
			select {
			case <-synced:
				close(s.synced)
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}),
	)
}

// lead runs what one replica does.
func (s *Server) lead(ctx context.Context) error {
	definitions := &writer{s.definitions, s.turns}
	work := func(ctx context.Context) error {
		return controller.RunAll(ctx,
			newNaming(definitions, s.catalog, time.Now).run,
			newFinalizing(definitions, s.catalog, time.Now).run,
		)
	}
	if s.leadership == nil {
		return work(ctx)
	}
	return s.leadership.While(ctx, work)
}

// GroupVersions are those in which there are custom resources, for who registers them. OnChange tells of others.
func (s *Server) GroupVersions() []schema.GroupVersion { return s.discovery.all() }

// Synced is closed when all that was defined before the start is served.
func (s *Server) Synced() <-chan struct{} { return s.synced }

// Definitions are the definitions and where they are stored.
func (s *Server) Definitions() (registry.Resource, *registry.Store) {
	return definitions(time.Now), s.definitions
}

// lateAdmission asks an admission that is made after who asks it.
type lateAdmission func() registry.Admission

func (l lateAdmission) Admit(ctx context.Context, r *registry.Request) error {
	return l().Admit(ctx, r)
}

func (l lateAdmission) Validate(ctx context.Context, r *registry.Request) error {
	return l().Validate(ctx, r)
}
