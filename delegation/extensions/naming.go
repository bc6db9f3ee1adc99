package extensions

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/portico-api/portico/delegation/controller"
)

type names = apiextensionsv1.CustomResourceDefinitionNames

// naming gives definitions their names, each of which one definition of a group can have, and establishes those that have them all
// (contract 7.1).
type naming struct {
	definitions *writer
	catalog     *catalog
	now         func() time.Time
	queue       *controller.Queue

	mu       sync.Mutex
	accepted map[string]*holder // by definition
}

// holder is who has which names.
type holder struct {
	group   string
	names   names
	wants   bool   // more names than it has
	version int64  // of the definition that says so
	claim   *claim // what is being written of it; nil when nothing is
}

// claim keeps names from others while it is written that a definition has them, and for as long as it is not known whether that was done.
type claim struct {
	names names
	base  int64 // version of the definition that is written anew
}

func newNaming(definitions *writer, c *catalog, now func() time.Time) *naming {
	n := &naming{definitions: definitions, catalog: c, now: now, accepted: map[string]*holder{}}
	n.queue = controller.NewQueue("crd_naming", n.settle)
	return n
}

// run names definitions until ctx ends. What is there already is known before anything is judged: follow tells of it while it keeps others
// from the catalog, where settle looks. There is one worker: several would be done sooner, and keep the processors from other requests.
func (n *naming) run(ctx context.Context) error {
	return n.queue.Run(ctx, 1, func(ctx context.Context) error {
		return n.catalog.follow(ctx, func(d *definition, deleted bool) {
			if deleted {
				n.release(d)
				return
			}
			n.note(d)
			n.queue.Add(d.Name)
		})
	})
}

// note notes which names a definition has. What is older than what is known comes late.
func (n *naming) note(d *definition) {
	n.mu.Lock()
	defer n.mu.Unlock()
	version := versionOfDefinition(d)
	known := n.accepted[d.Name]
	switch {
	case known == nil:
		n.accepted[d.Name] = &holder{group: d.Spec.Group, names: d.Status.AcceptedNames, wants: wantsNames(d), version: version}
		return
	case version < known.version:
		return
	}
	known.names, known.wants, known.version = d.Status.AcceptedNames, wantsNames(d), version
	if known.claim != nil && version > known.claim.base {
		known.claim = nil // it was written, or something else was
	}
}

// release lets others have the names of a definition that is gone, unless it is there again.
func (n *naming) release(d *definition) {
	n.mu.Lock()
	version := versionOfDefinition(d)
	if known := n.accepted[d.Name]; known != nil && known.version <= version {
		if known.claim != nil && known.claim.base > version {
			known.names = names{}
		} else {
			delete(n.accepted, d.Name)
		}
	}
	n.mu.Unlock()
	n.lookAtOthers(d)
}

func versionOfDefinition(d *definition) int64 {
	version, _ := strconv.ParseInt(d.ResourceVersion, 10, 64)
	return version
}

// wantsNames tells whether a definition has not got all names that it asks for.
func wantsNames(d *definition) bool {
	return !isTrue(d, apiextensionsv1.NamesAccepted) || !apiequality.Semantic.DeepEqual(&d.Spec.Names, &d.Status.AcceptedNames)
}

// lookAtOthers has those of the group looked at that may get a name now. To look at those that have theirs would be, for each of many definitions
// that are deleted, the square of their number.
func (n *naming) lookAtOthers(d *definition) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, h := range n.accepted {
		if h.wants && h.group == d.Spec.Group && name != d.Name {
			n.queue.Add(name)
		}
	}
}

// claim judges a definition that is about to be written, and keeps its names from others until it is known what became of that.
func (n *naming) claim(d *definition) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.judgeLocked(d)
	known := n.accepted[d.Name]
	if known == nil {
		known = &holder{group: d.Spec.Group, wants: true}
		n.accepted[d.Name] = known
	}
	known.claim = &claim{d.Status.AcceptedNames, versionOfDefinition(d)}
}

// unclaim gives up what was claimed for a definition, because it was not written.
func (n *naming) unclaim(stored *definition, gone bool) {
	n.mu.Lock()
	if known := n.accepted[stored.Name]; known != nil && known.claim != nil && known.claim.base == versionOfDefinition(stored) {
		if known.claim = nil; gone && known.version <= versionOfDefinition(stored) {
			delete(n.accepted, stored.Name)
		}
	}
	n.mu.Unlock()
	n.lookAtOthers(stored)
}

// takenLocked are those of the names that a definition wants that others of its group have: as resources, and as kinds.
func (n *naming) takenLocked(d *definition) (resources, kinds map[string]bool) {
	resources, kinds = map[string]bool{}, map[string]bool{}
	wanted := &d.Spec.Names
	resource := func(used string) {
		if used != "" && (used == wanted.Plural || used == wanted.Singular || slices.Contains(wanted.ShortNames, used)) {
			resources[used] = true
		}
	}
	kind := func(used string) {
		if used != "" && (used == wanted.Kind || used == wanted.ListKind) {
			kinds[used] = true
		}
	}
	used := func(by *names) {
		resource(by.Plural)
		resource(by.Singular)
		for _, short := range by.ShortNames {
			resource(short)
		}
		kind(by.Kind)
		kind(by.ListKind)
	}
	for name, h := range n.accepted {
		if h.group != d.Spec.Group || name == d.Name {
			continue
		}
		used(&h.names)
		if h.claim != nil {
			used(&h.claim.names)
		}
	}
	return resources, kinds
}

// settle gives one definition the names that it can have, and its conditions.
func (n *naming) settle(ctx context.Context, name string) (again time.Duration, err error) {
	// What is known of it may be old. Then the change will come, and have it looked at again.
	d := n.catalog.outlineOf(name)
	if d == nil || !n.judge(d.DeepCopy()) {
		return 0, nil
	}
	var before *definition
	updated, err := n.definitions.updateStatus(ctx, name, func(current *definition) error {
		before = withoutSchemas(current)
		before.Status = *current.Status.DeepCopy()
		n.claim(current)
		return nil
	})
	if err != nil {
		gone := apierrors.IsNotFound(err)
		if before != nil && (gone || apierrors.IsConflict(err) || apierrors.IsInvalid(err)) {
			n.unclaim(before, gone)
		}
		if gone {
			return 0, nil
		}
		return 0, fmt.Errorf("naming %s: %w", name, err) // what may have been written stays claimed until that is known
	}
	if givesUp(&before.Status.AcceptedNames, &updated.Status.AcceptedNames) {
		n.lookAtOthers(updated)
	}
	return 0, nil
}

// givesUp tells whether there is a name before that is none after.
func givesUp(before, after *names) bool {
	all := func(n *names) []string {
		return append([]string{n.Plural, n.Singular, n.Kind, n.ListKind}, n.ShortNames...)
	}
	return slices.ContainsFunc(all(before), func(name string) bool { return name != "" && !slices.Contains(all(after), name) })
}

// judge writes what is to be said of a definition into its status, and tells whether that is other than before.
func (n *naming) judge(d *definition) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.judgeLocked(d)
}

func (n *naming) judgeLocked(d *definition) bool {
	before := d.Status.DeepCopy()
	n.name(d)
	n.establish(d)
	n.approve(d)
	n.structure(d)
	return !apiequality.Semantic.DeepEqual(&d.Status, before)
}

// name accepts each name that nobody else has. What it had before it keeps until it has another.
func (n *naming) name(d *definition) {
	resources, kinds := n.takenLocked(d)
	wanted, have := &d.Spec.Names, &d.Status.AcceptedNames
	reason, message := "", ""
	accept := func(name string, into *string, used map[string]bool, conflict string) {
		if used[name] {
			reason, message = conflict, fmt.Sprintf("%q is already in use", name)
			return
		}
		*into = name
	}
	accept(wanted.Plural, &have.Plural, resources, "PluralConflict")
	accept(wanted.Singular, &have.Singular, resources, "SingularConflict")
	if i := slices.IndexFunc(wanted.ShortNames, func(short string) bool { return resources[short] }); i >= 0 {
		reason, message = "ShortNamesConflict", fmt.Sprintf("%q is already in use", wanted.ShortNames[i])
	} else {
		have.ShortNames = wanted.ShortNames
	}
	accept(wanted.Kind, &have.Kind, kinds, "KindConflict")
	accept(wanted.ListKind, &have.ListKind, kinds, "ListKindConflict")
	have.Categories = wanted.Categories
	if reason == "" {
		setCondition(d, n.now(), apiextensionsv1.NamesAccepted, apiextensionsv1.ConditionTrue, "NoConflicts", "no conflicts found")
	} else {
		setCondition(d, n.now(), apiextensionsv1.NamesAccepted, apiextensionsv1.ConditionFalse, reason, message)
	}
}

// establish has a definition served for good once it has its names. It stays so whatever becomes of the names.
func (n *naming) establish(d *definition) {
	switch {
	case !hasUsableBundle(d):
		setCondition(d, n.now(), apiextensionsv1.Established, apiextensionsv1.ConditionFalse, "InvalidCABundle", "The conversion webhook CABundle is invalid")
	case isTrue(d, apiextensionsv1.Established):
	case isTrue(d, apiextensionsv1.NamesAccepted):
		setCondition(d, n.now(), apiextensionsv1.Established, apiextensionsv1.ConditionTrue, "InitialNamesAccepted", "the initial names have been accepted")
	default:
		setCondition(d, n.now(), apiextensionsv1.Established, apiextensionsv1.ConditionFalse, "NotAccepted", "not all names are accepted")
	}
}

func hasUsableBundle(d *definition) bool {
	c := d.Spec.Conversion
	if c == nil || c.Webhook == nil || c.Webhook.ClientConfig == nil || len(c.Webhook.ClientConfig.CABundle) == 0 {
		return true
	}
	return x509.NewCertPool().AppendCertsFromPEM(c.Webhook.ClientConfig.CABundle)
}

// approve says of the groups of the community whether they were reviewed.
func (n *naming) approve(d *definition) {
	if !apihelpers.IsProtectedCommunityGroup(d.Spec.Group) {
		return
	}
	state, message := apihelpers.GetAPIApprovalState(d.Annotations)
	status, reason := apiextensionsv1.ConditionFalse, "InvalidAnnotation"
	switch state {
	case apihelpers.APIApproved:
		status, reason = apiextensionsv1.ConditionTrue, "ApprovedAnnotation"
	case apihelpers.APIApprovalMissing:
		reason = "MissingAnnotation"
	case apihelpers.APIApprovalBypassed:
		reason = "UnapprovedAnnotation"
	}
	setCondition(d, n.now(), apiextensionsv1.KubernetesAPIApprovalPolicyConformant, status, reason, message)
}
