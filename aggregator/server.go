package aggregator

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/types"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/portico-api/portico/aggregator/backend"
	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/fieldtypes"
	"github.com/portico-api/portico/handler/rest"
)

// Server is the front unit of the chain.
type Server struct {
	*delegation.GenericAPIServer

	cfg          Config
	store        *registry.Store
	router       *router
	groups       *groupDocuments
	openAPI      *openAPI
	registration *autoRegistration
	custom       *customRegistration // nil when there are no custom resources
}

// New returns the front unit, in front of delegate. generic is shared with the other units and is
// not changed. What it does beside answering requests begins with the post-start hooks.
func New(ctx context.Context, cfg Config, generic *delegation.Config, delegate delegation.DelegationTarget) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("creating the aggregator: %w", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	unitConfig := *generic
	unitConfig.EnableDiscovery = false        // /apis tells of the whole chain here
	unitConfig.SkipOpenAPIInstallation = true // and so does /openapi/v3
	unit, err := unitConfig.New("kube-aggregator", delegate)
	if err != nil {
		return nil, err
	}
	cfg.Registry.Types = fieldtypes.New(cfg.Registry.Scheme, fieldTypes)
	store, err := registry.New(ctx, cfg.Registry, apiServices(cfg.Now))
	if err != nil {
		return nil, fmt.Errorf("creating the aggregator: opening APIServices: %w", err)
	}

	s := &Server{GenericAPIServer: unit, cfg: cfg, store: store}
	s.groups = &groupDocuments{manager: generic.Discovery}
	s.router = s.newRouter(generic, delegate.UnprotectedHandler())
	s.router.catalogs.described = generic.OpenAPI.Follow(s.router.catalogs.openAPIDocuments)
	s.openAPI = &openAPI{local: delegate.UnprotectedHandler(), catalogs: s.router.catalogs}
	s.registration = &autoRegistration{store: store, paths: delegate.Contributions().ListedPaths}
	if cfg.CustomResources != nil {
		s.custom = newCustomRegistration(s.registration, store, cfg.CustomResources)
		s.router.noticed = s.custom.noticed
	}
	if err := s.install(); err != nil {
		return nil, fmt.Errorf("creating the aggregator: %w", err)
	}
	return s, nil
}

// APIServices are the unit's own objects and where they are kept, for who takes care of objects of all kinds.
func (s *Server) APIServices() (registry.Resource, *registry.Store) {
	return apiServices(s.cfg.Now), s.store
}

// ServiceAddresses returns where a service is, host:port of each ready endpoint, at least one: as requests for an APIService
// find it.
func (s *Server) ServiceAddresses(ctx context.Context, namespace, name string, port int32) ([]string, error) {
	if s.cfg.ServicesSynced != nil {
		select {
		case <-s.cfg.ServicesSynced:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return s.router.remotes.resolver.Resolve(backend.ServiceReference{Namespace: namespace, Name: name, Port: port})
}

func (s *Server) newRouter(generic *delegation.Config, next http.Handler) *router {
	catalogs := newCatalogs(generic.Discovery)
	return &router{
		store:   s.store,
		mux:     s.Handler.NonGoRestfulMux,
		next:    next,
		metrics: s.cfg.Metrics,
		remotes: &remotes{
			cfg:      s.cfg,
			stopping: generic.Lifecycle.WatchesTerminating.Context(),
			resolver: backend.NewResolver(s.cfg.Services, s.cfg.SelfAddress),
		},
		manager:  generic.Discovery,
		groups:   http.HandlerFunc(s.groups.serveGroup),
		catalogs: catalogs,
		availability: &availability{
			store:    s.store,
			catalogs: catalogs,
			metrics:  s.cfg.Metrics,
			now:      s.cfg.Now,
			loops:    newLoops[string](),
		},
		noticed:   func(registry.Change) {},
		changed:   make(chan struct{}, 1),
		initiated: make(chan struct{}),
		pending:   map[string]*apiregistrationv1.APIService{},
		routes:    map[string]*route{},
		versions:  map[string]int{},
		behind:    map[types.NamespacedName][]*route{},
	}
}

func (s *Server) install() error {
	gv := apiregistrationv1.SchemeGroupVersion
	err := s.InstallAPIGroups(&delegation.APIGroupInfo{
		Group:      gv.Group,
		Versions:   []delegation.APIVersion{{Version: gv.Version, Resources: []*rest.Resource{s.store.Rest()}}},
		FieldTypes: fieldTypes,
	})
	if err != nil {
		return err
	}

	mux := s.Handler.NonGoRestfulMux
	list := http.HandlerFunc(s.groups.serveList)
	mux.Handle(groupsRoot, s.router.manager.GroupsHandler(list))
	mux.Handle(groupsRoot+"/", list) // listed, as observed (contract 13)
	mux.Handle(openAPIRootPath, http.HandlerFunc(s.openAPI.serveRoot))
	mux.HandlePrefix(openAPIPrefix, http.HandlerFunc(s.openAPI.serveDocument))

	if s.cfg.SubscribeServices != nil {
		s.cfg.SubscribeServices(s.router.serviceChanged)
	}
	if s.cfg.SubscribeProxyClientCert != nil {
		s.cfg.SubscribeProxyClientCert(s.router.certificateChanged)
	}
	return s.installHooks()
}

func (s *Server) installHooks() error {
	if err := s.AddMuxCompleteSignal("APIServiceRegistrationControllerInitiated", s.router.initiated); err != nil {
		return err
	}
	if err := s.AddInformer("apiservice-registration-controller", s.route); err != nil {
		return err
	}
	if err := s.AddPostStartHook("apiservice-discovery-controller", s.waitDiscovered); err != nil {
		return err
	}
	if err := s.AddPostStartHook("kube-apiserver-autoregistration", s.registration.run); err != nil {
		return err
	}
	if s.custom != nil {
		if err := s.AddController("custom-resource-registration-controller", s.registerCustomResources); err != nil {
			return err
		}
	}
	return s.AddBootSequenceHealthChecks(delegation.HealthCheck{
		Name:  "autoregister-completion",
		Check: s.registration.check,
	})
}

// route keeps the routes, and through them what is known of remote servers, until ctx ends. It has
// started when every stored APIService has its route.
func (s *Server) route(ctx context.Context, started func()) error {
	if s.cfg.ServicesSynced != nil {
		select {
		case <-s.cfg.ServicesSynced:
		case <-ctx.Done():
			return nil
		}
	}
	return s.router.Run(ctx, started)
}

// registerCustomResources keeps their APIServices, in the replica that leads.
func (s *Server) registerCustomResources(ctx context.Context, started func()) error {
	started()
	if s.cfg.Leadership == nil {
		return s.custom.run(ctx)
	}
	return s.cfg.Leadership.While(ctx, s.custom.run)
}

// waitDiscovered keeps the server from being ready until it has asked each remote server once: the
// first answer to a client should not lack a group of a server that is well. One that hangs costs
// no more than the timeout of its discovery.
func (s *Server) waitDiscovered(ctx context.Context) error {
	select {
	case <-s.router.initiated:
	case <-ctx.Done():
		return nil
	}
	return s.router.catalogs.waitVisited(ctx)
}
