package extensions

import (
	"context"
	"fmt"

	"github.com/portico-api/portico/delegation"
)

// groupName is the API group in which custom resources are defined.
const groupName = "apiextensions.k8s.io"

// Server is the unit of custom resources.
type Server struct {
	*delegation.GenericAPIServer

	resources *customResources
	// synced is closed when every resource that was defined before the start is served. Until then
	// its path may not be called unknown.
	synced chan struct{}
}

// New returns the unit in front of delegate. generic is shared with the other units and is not
// changed. Definitions are not served yet, so clients find the group's version without a resource.
func New(generic *delegation.Config, delegate delegation.DelegationTarget) (*Server, error) {
	config := *generic
	// Custom resources appear in the aggregator's /apis. Claiming the path here would hide it.
	config.EnableDiscovery = false
	unit, err := config.New("apiextensions-apiserver", delegate)
	if err != nil {
		return nil, err
	}
	s := &Server{
		GenericAPIServer: unit,
		resources:        newCustomResources(delegate.UnprotectedHandler()),
		synced:           make(chan struct{}),
	}
	if err := s.install(); err != nil {
		return nil, fmt.Errorf("creating the extensions unit: %w", err)
	}
	return s, nil
}

func (s *Server) install() error {
	err := s.InstallAPIGroups(&delegation.APIGroupInfo{
		Group:    groupName,
		Versions: []delegation.APIVersion{{Version: "v1"}},
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
	return s.AddPostStartHook("crd-informer-synced", s.sync)
}

// sync publishes the resources that are defined at start: none, as long as there is no store of
// definitions.
func (s *Server) sync(context.Context) error {
	s.resources.publish(nil)
	close(s.synced)
	return nil
}
