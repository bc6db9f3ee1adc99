package discovery

import (
	"slices"
	"sync"
	"sync/atomic"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Source says who reports a group-version. When several report the same one, the lowest wins.
type Source int

// The sources of a chain, in the order of their precedence.
const (
	SourceAggregator      Source = 0
	SourceBuiltIn         Source = 100
	SourceCustomResources Source = 200
)

// Observer is told about each aggregated document that is made.
type Observer interface {
	DiscoveryAggregated()
}

// Manager collects the group-versions of a whole chain into the aggregated documents. It is safe
// for concurrent use: readers take no lock while nothing changes.
type Manager struct {
	observer Observer
	// documents is nil from a change until somebody reads: a start that registers thousands of
	// group-versions renders once, not thousands of times.
	documents atomic.Pointer[documents]

	mu         sync.Mutex
	reports    map[metav1.GroupVersion][]report
	priorities map[metav1.GroupVersion]priority
}

// documents is what clients read between two changes: the nameless group on /api, all others on
// /apis.
type documents struct {
	core   *Document
	groups *Document
	list   []apidiscoveryv2.APIGroupDiscovery
}

// report is one source's description of one group-version.
type report struct {
	source  Source
	version apidiscoveryv2.APIVersionDiscovery
}

// NewManager returns a manager that knows no group. observer may be nil.
func NewManager(observer Observer) *Manager {
	return &Manager{
		observer:   observer,
		reports:    map[metav1.GroupVersion][]report{},
		priorities: map[metav1.GroupVersion]priority{},
	}
}

// AddGroupVersion reports one version of group, replacing what source reported of it before. The
// core group has the name "". The manager keeps version: it must not be changed afterwards.
func (m *Manager) AddGroupVersion(source Source, group string, version apidiscoveryv2.APIVersionDiscovery) {
	if version.Freshness == "" {
		version.Freshness = apidiscoveryv2.DiscoveryFreshnessCurrent
	}
	gv := metav1.GroupVersion{Group: group, Version: version.Version}

	m.mu.Lock()
	defer m.mu.Unlock()
	reports := m.reports[gv]
	at, found := slices.BinarySearchFunc(reports, source, bySource)
	if found {
		reports[at].version = version
	} else {
		m.reports[gv] = slices.Insert(reports, at, report{source: source, version: version})
	}
	m.documents.Store(nil)
}

// RemoveGroupVersion takes back what source reported of gv. Once no source reports it, its priority
// is forgotten too.
func (m *Manager) RemoveGroupVersion(source Source, gv metav1.GroupVersion) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(source, gv)
}

// RemoveGroup takes back every version of group that source reported.
func (m *Manager) RemoveGroup(source Source, group string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for gv := range m.reports {
		if gv.Group == group {
			m.remove(source, gv)
		}
	}
}

func (m *Manager) remove(source Source, gv metav1.GroupVersion) {
	reports := m.reports[gv]
	at, found := slices.BinarySearchFunc(reports, source, bySource)
	if !found {
		return
	}
	if reports = slices.Delete(reports, at, at+1); len(reports) > 0 {
		m.reports[gv] = reports
	} else {
		delete(m.reports, gv)
		delete(m.priorities, gv)
	}
	m.documents.Store(nil)
}

// SetGroupVersionPriority says where gv stands: the group by the highest group priority among its
// versions, the version within it by version, both descending. Without it a group-version has the
// priorities 1000 and 15.
func (m *Manager) SetGroupVersionPriority(gv metav1.GroupVersion, group, version int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := priority{group: group, version: version}
	if m.priorities[gv] == p {
		return
	}
	m.priorities[gv] = p
	m.documents.Store(nil)
}

// Groups are all groups but the core group, in the order clients are shown. They are shared and
// must not be changed.
func (m *Manager) Groups() []apidiscoveryv2.APIGroupDiscovery {
	return m.current().list
}

func (m *Manager) current() *documents {
	if d := m.documents.Load(); d != nil {
		return d
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.documents.Load(); d != nil {
		return d
	}
	d := m.render()
	m.documents.Store(d)
	if m.observer != nil {
		m.observer.DiscoveryAggregated()
	}
	return d
}

// render makes the documents of what is reported now. mu is held.
func (m *Manager) render() *documents {
	d := &documents{}
	var core []apidiscoveryv2.APIGroupDiscovery
	for _, g := range m.sorted() {
		if g.Name == "" {
			core = append(core, g)
		} else {
			d.list = append(d.list, g)
		}
	}
	d.core = newAggregatedDocument(core)
	d.groups = newAggregatedDocument(d.list)
	return d
}

func bySource(r report, s Source) int { return int(r.source) - int(s) }
