package delegation

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/emicklei/go-restful/v3"
	"k8s.io/apimachinery/pkg/runtime/schema"
	smdschema "sigs.k8s.io/structured-merge-diff/v6/schema"

	"github.com/portico-api/portico/handler/discovery"
	"github.com/portico-api/portico/handler/rest"
)

// APIGroupInfo is one API group to install. The core group has no name.
type APIGroupInfo struct {
	Group string
	// Versions are in the order of preference.
	Versions []APIVersion
	// FieldTypes says how the fields of the group's kinds are merged, for OpenAPI documents; nil leaves it open.
	FieldTypes func() []smdschema.TypeDef
}

// APIVersion is one version of a group and what can be done in it. It may be empty: clients then
// see the version without a resource.
type APIVersion struct {
	Version   string
	Resources []*rest.Resource
}

// InstallLegacyAPIGroup installs the core group below prefix, "/api": its resources, and discovery
// at the prefix and at each version. It must be one of the configured LegacyAPIGroupPrefixes.
func (s *GenericAPIServer) InstallLegacyAPIGroup(prefix string, group *APIGroupInfo) error {
	if !slices.Contains(s.config.LegacyAPIGroupPrefixes, prefix) {
		return fmt.Errorf("installing the core group in %s: %q is not one of the prefixes %q", s.Name, prefix, s.config.LegacyAPIGroupPrefixes)
	}
	if group.Group != "" {
		return fmt.Errorf("installing the core group in %s: group %q has a name and belongs below /apis", s.Name, group.Group)
	}
	if err := s.installVersions(prefix, group); err != nil {
		return fmt.Errorf("installing the core group in %s: %w", s.Name, err)
	}
	// After its versions: the first web service that claims a path answers it.
	versions := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		doc := discovery.NewAPIVersions(s.externalAddress(), group.versionNames()...)
		discovery.NewDocument(doc).ServeHTTP(w, r)
	})
	ws := documentWebService(prefix, "get available API versions", s.config.Discovery.CoreHandler(versions))
	if err := s.Handler.Add(ws); err != nil {
		return fmt.Errorf("installing the core group in %s: %w", s.Name, err)
	}
	return nil
}

// InstallAPIGroups installs named groups below /apis: their resources, and discovery at each group
// and version. Groups that cannot be installed stop at the first; those before it are installed.
func (s *GenericAPIServer) InstallAPIGroups(groups ...*APIGroupInfo) error {
	for _, g := range groups {
		if err := s.installAPIGroup(g); err != nil {
			return fmt.Errorf("installing group %q in %s: %w", g.Group, s.Name, err)
		}
	}
	return nil
}

func (s *GenericAPIServer) installAPIGroup(group *APIGroupInfo) error {
	if group.Group == "" {
		return errors.New("the core group belongs below a prefix of its own: use InstallLegacyAPIGroup")
	}
	if err := s.installVersions("/apis/"+group.Group, group); err != nil {
		return err
	}
	// After its versions: the first web service that claims a path answers it.
	doc := discovery.NewAPIGroup(group.Group, group.versionNames()...)
	ws := documentWebService("/apis/"+group.Group, "get information of a group", discovery.NewDocument(doc))
	if err := s.Handler.Add(ws); err != nil {
		return err
	}
	s.groups.add(*doc)
	return nil
}

// installVersions adds one web service for each version of group, and reports them to discovery.
func (s *GenericAPIServer) installVersions(root string, group *APIGroupInfo) error {
	if err := group.validate(); err != nil {
		return err
	}
	if !s.groups.claim(group.Group) {
		return errors.New("it is installed already")
	}
	for _, v := range group.Versions {
		described := describe(v)
		prefix := root + "/" + v.Version
		ws := documentWebService(prefix, "get available resources",
			discovery.NewDocument(discovery.NewAPIResourceList(group.Group, described)))
		rest.Install(ws, prefix, v.Resources, rest.Config{
			Metrics:           s.config.Metrics.Requests,
			Release:           releaseOf(s.config.Version),
			MinRequestTimeout: s.config.MinRequestTimeout,
			Stopping:          s.config.Lifecycle.WatchesTerminating.Signaled(),
			Authorizer:        s.config.Authorizer,
		})
		if err := s.Handler.Add(ws); err != nil {
			return err
		}
		s.config.Discovery.AddGroupVersion(discovery.SourceBuiltIn, group.Group, described)
		s.addOpenAPI(prefix, schema.GroupVersion{Group: group.Group, Version: v.Version}, v.Resources, group.FieldTypes)
	}
	return nil
}

// documentWebService answers its root path, with or without a slash at the end, from document.
func documentWebService(root, doc string, document http.Handler) *restful.WebService {
	ws := new(restful.WebService).Path(root).Doc(doc)
	ws.Route(ws.GET("/").To(func(req *restful.Request, resp *restful.Response) {
		document.ServeHTTP(resp.ResponseWriter, req.Request)
	}).Doc(doc).Produces("*/*")) // the document negotiates, and knows why it cannot
	return ws
}

func (g *APIGroupInfo) validate() error {
	if len(g.Versions) == 0 {
		return errors.New("it has no version")
	}
	seen := map[string]bool{}
	for _, v := range g.Versions {
		if v.Version == "" || seen[v.Version] {
			return fmt.Errorf("version %q is empty or there twice", v.Version)
		}
		seen[v.Version] = true
		gv := schema.GroupVersion{Group: g.Group, Version: v.Version}
		for _, r := range v.Resources {
			if r.GroupVersion != gv {
				return fmt.Errorf("resource %q is of %s, not of %s", r.Name, r.GroupVersion, gv)
			}
		}
	}
	return nil
}

func (g *APIGroupInfo) versionNames() []string {
	names := make([]string, len(g.Versions))
	for i, v := range g.Versions {
		names[i] = v.Version
	}
	return names
}

// externalAddress is where clients find the front, as far as the configuration tells.
func (s *GenericAPIServer) externalAddress() string {
	switch {
	case s.config.ExternalAddress != "":
		return s.config.ExternalAddress
	case s.config.Serving != nil && s.config.Serving.Listener != nil:
		return s.config.Serving.Listener.Addr().String()
	}
	return ""
}
