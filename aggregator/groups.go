package aggregator

import (
	"net/http"
	"strings"
	"sync/atomic"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/discovery"
)

// groupDocuments answers in the older form of discovery: the list of all groups, and each group. It
// is made from what the aggregated document is made from, so the two never disagree, and a group is
// there whether or not its server answers (contract 5.5).
type groupDocuments struct {
	manager *discovery.Manager
	made    atomic.Pointer[groupList]
}

// groupList is what was made from one state of the manager.
type groupList struct {
	from     []apidiscoveryv2.APIGroupDiscovery
	document *discovery.Document
	groups   map[string]metav1.APIGroup
}

// serveList answers /apis/, and /apis to who does not ask for the aggregated document.
func (g *groupDocuments) serveList(w http.ResponseWriter, r *http.Request) {
	g.current().document.ServeHTTP(w, r)
}

// serveGroup answers /apis/<group>.
func (g *groupDocuments) serveGroup(w http.ResponseWriter, r *http.Request) {
	name := strings.Trim(strings.TrimPrefix(r.URL.Path, groupsRoot), "/")
	group, ok := g.current().groups[name]
	if !ok {
		handler.WriteError(w, r, apierrors.NewGenericServerResponse(http.StatusNotFound, r.Method, schema.GroupResource{}, "", "", 0, false))
		return
	}
	group.TypeMeta = metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}
	discovery.NewDocument(&group).ServeHTTP(w, r)
}

// current makes the documents anew when the manager's have changed: its list is another one then.
func (g *groupDocuments) current() *groupList {
	groups := g.manager.Groups()
	if made := g.made.Load(); made != nil && same(made.from, groups) {
		return made
	}
	list := g.manager.APIGroups()
	made := &groupList{
		from:     groups,
		document: discovery.NewDocument(discovery.NewAPIGroupList(list)),
		groups:   make(map[string]metav1.APIGroup, len(list)),
	}
	for _, group := range list {
		made.groups[group.Name] = group
	}
	g.made.Store(made)
	return made
}

// same tells whether a and b are one and the same slice.
func same[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
