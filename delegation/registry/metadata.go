package registry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/handler"
)

// beginMetadata sets what only the server may say about a new object.
func (s *Store) beginMetadata(m metav1.Object, now time.Time) {
	m.SetUID(types.UID(uuid.NewString()))
	m.SetCreationTimestamp(metav1.NewTime(now.UTC().Truncate(time.Second)))
	m.SetDeletionTimestamp(nil)
	m.SetDeletionGracePeriodSeconds(nil)
	m.SetSelfLink("")
	m.SetGeneration(0)
	if s.res.Strategy.Generation {
		m.SetGeneration(1)
	}
}

// keepMetadata takes over what an update may leave out or may not touch.
func keepMetadata(m, old metav1.Object) {
	if m.GetUID() == "" {
		m.SetUID(old.GetUID())
	}
	if created := old.GetCreationTimestamp(); !created.IsZero() {
		m.SetCreationTimestamp(created)
	}
	m.SetGeneration(old.GetGeneration())
	// What is not being deleted stays so, and the period of grace what it is: who says otherwise is told by the validation.
	if old.GetDeletionTimestamp() != nil {
		m.SetDeletionTimestamp(old.GetDeletionTimestamp())
	}
	if old.GetDeletionGracePeriodSeconds() != nil && m.GetDeletionGracePeriodSeconds() == nil {
		m.SetDeletionGracePeriodSeconds(old.GetDeletionGracePeriodSeconds())
	}
	m.SetSelfLink("")
}

// settleNamespace gives a new object the namespace of its path.
func (s *Store) settleNamespace(m metav1.Object, namespace string) error {
	switch {
	case !s.res.Namespaced:
		m.SetNamespace("")
	case namespace == "":
		return apierrors.NewBadRequest("a namespace is required to create " + s.gr.String())
	case m.GetNamespace() == "" || m.GetNamespace() == namespace:
		m.SetNamespace(namespace)
	default:
		return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	return nil
}

// dropDoubleOwners keeps the first reference to each owner, and says so.
func dropDoubleOwners(ctx context.Context, m metav1.Object) {
	owners := m.GetOwnerReferences()
	if len(owners) < 2 {
		return
	}
	seen := map[types.UID]bool{}
	var doubles []types.UID
	kept := slices.DeleteFunc(slices.Clone(owners), func(owner metav1.OwnerReference) bool {
		if seen[owner.UID] {
			doubles = append(doubles, owner.UID)
			return true
		}
		seen[owner.UID] = true
		return false
	})
	if len(doubles) > 0 {
		m.SetOwnerReferences(kept)
		handler.AddWarning(ctx, fmt.Sprintf(".metadata.ownerReferences contains duplicate entries; only the first for each UID is kept; duplicate UID(s) observed: %v", doubles))
	}
}

// validateNew checks a new object: its metadata, then what is particular to the kind.
func (s *Store) validateNew(ctx context.Context, obj runtime.Object, m metav1.Object) error {
	problems := apivalidation.ValidateObjectMetaAccessor(m, s.res.Namespaced, s.nameRule(), field.NewPath("metadata"))
	if s.res.Strategy.Validate != nil {
		problems = append(problems, s.res.Strategy.Validate(ctx, obj)...)
	}
	return s.invalid(m.GetName(), problems)
}

func (s *Store) nameRule() apivalidation.ValidateNameFunc {
	if s.res.Strategy.ValidateName != nil {
		return s.res.Strategy.ValidateName
	}
	return apivalidation.NameIsDNSSubdomain
}

func (s *Store) invalid(name string, problems field.ErrorList) error {
	if len(problems) == 0 {
		return nil
	}
	return apierrors.NewInvalid(s.gvk.GroupKind(), name, problems)
}

const (
	nameLetters  = "bcdfghjklmnpqrstvwxz2456789" // nothing that spells a word or looks like another
	nameSuffix   = 5
	maxNameBase  = 63 - nameSuffix
	nameAttempts = 8
)

// generateName makes a name that begins with base. Names need to differ, not to be secret.
func generateName(base string) string {
	if len(base) > maxNameBase {
		base = base[:maxNameBase]
	}
	name := make([]byte, 0, len(base)+nameSuffix)
	name = append(name, base...)
	for range nameSuffix {
		name = append(name, nameLetters[rand.IntN(len(nameLetters))])
	}
	return string(name)
}
