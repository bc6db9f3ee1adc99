package quota

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/delegation/controller"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

const (
	// settles is how long after a charge what is there is counted: until then what was charged may not be stored.
	settles = time.Second
	// recount is how often all is counted anew: a create that was charged and then failed is charged until then.
	recount = time.Minute
)

// Usage keeps what quotas say is used equal to what there is.
type Usage struct {
	admission *Admission
	quotas    *registry.Store
	counted   map[schema.GroupResource]*registry.Store
	elsewhere func(context.Context, schema.GroupResource) (*registry.Store, bool)
}

// NewUsage returns the controller of quotas over the resources that can be counted. elsewhere finds more of them, which come and go; nil
// finds none.
func NewUsage(a *Admission, quotas *registry.Store, counted map[schema.GroupResource]*registry.Store, elsewhere func(context.Context, schema.GroupResource) (*registry.Store, bool)) *Usage {
	return &Usage{admission: a, quotas: quotas, counted: counted, elsewhere: elsewhere}
}

// Run counts until ctx ends: when a quota is new or changed, and when something that it counts has gone.
func (u *Usage) Run(ctx context.Context, started func()) error {
	queue := controller.NewQueue("resource_quota", u.settle)
	sources := []func(context.Context) error{
		func(ctx context.Context) error {
			return u.quotas.Follow(ctx, func(change registry.Change) {
				q := change.Object.(*corev1.ResourceQuota)
				old, _ := change.Old.(*corev1.ResourceQuota)
				if !change.Deleted && (old == nil || !equality.Semantic.DeepEqual(q.Spec, old.Spec) || !equality.Semantic.DeepEqual(q.Status.Hard, q.Spec.Hard)) {
					queue.Add(q.Namespace + "/" + q.Name)
				}
			}, started)
		},
	}
	for resource, store := range u.counted {
		sources = append(sources, func(ctx context.Context) error {
			return store.Observe(ctx, registry.Observer{Tell: func(o rest.Object, deleted bool) {
				if deleted || resource.Resource == "services" {
					u.lookAtAll(queue, o.Namespace())
				}
			}})
		})
	}
	return queue.Run(ctx, 1, sources...)
}

func (u *Usage) lookAtAll(queue *controller.Queue, namespace string) {
	if u.admission.any.Load() == 0 {
		return
	}
	for _, q := range u.admission.of(namespace) {
		queue.Add(q.Namespace + "/" + q.Name)
	}
}

// settle counts what one quota is about. Whoever charges it meanwhile makes the count void: it is counted again.
func (u *Usage) settle(ctx context.Context, key string) (again time.Duration, err error) {
	namespace, name, _ := strings.Cut(key, "/")
	q, err := registry.GetAs[*corev1.ResourceQuota](ctx, u.quotas, namespace, name)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading quota %s: %w", key, err)
	}
	if left := settles - u.admission.sinceCharged(key); left > 0 && len(q.Status.Used) > 0 && equality.Semantic.DeepEqual(q.Status.Hard, q.Spec.Hard) {
		return left, nil
	}
	used := corev1.ResourceList{}
	for resource := range q.Spec.Hard {
		n, err := u.count(ctx, namespace, resource)
		if err != nil {
			return 0, fmt.Errorf("counting %s for quota %s: %w", resource, key, err)
		}
		used[resource] = amount(n)
	}
	if isScoped(q) {
		for resource := range used {
			used[resource] = amount(0) // it is about pods of a kind, and there are none
		}
	}
	if equality.Semantic.DeepEqual(q.Status.Used, used) && equality.Semantic.DeepEqual(q.Status.Hard, q.Spec.Hard) {
		return recount, nil
	}
	seen := q.ResourceVersion
	_, err = registry.UpdateStatusAs(ctx, u.quotas, namespace, name, func(q *corev1.ResourceQuota) error {
		if q.ResourceVersion != seen {
			return errCharged
		}
		q.Status.Hard, q.Status.Used = q.Spec.Hard, used
		return nil
	})
	switch {
	case errors.Is(err, errCharged):
		return settles, nil
	case err != nil && !apierrors.IsNotFound(err):
		return 0, fmt.Errorf("writing what quota %s is used: %w", key, err)
	}
	return recount, nil
}

// errCharged: somebody else has written the quota while it was counted for.
var errCharged = errors.New("the quota was charged meanwhile")

// count is how many objects of a namespace a name counts; none of what nobody keeps here.
func (u *Usage) count(ctx context.Context, namespace string, name corev1.ResourceName) (n int64, err error) {
	resource, ok := resourceOf(name)
	store := u.counted[resource]
	if ok && store == nil && u.elsewhere != nil {
		store, _ = u.elsewhere(ctx, resource)
	}
	if !ok || store == nil {
		return 0, nil
	}
	if name == corev1.ResourceServicesNodePorts || name == corev1.ResourceServicesLoadBalancers {
		services, err := registry.ListAs[*corev1.Service](ctx, store, namespace)
		for _, s := range services {
			for _, charge := range chargesOfService(s) {
				if charge == name {
					n++
				}
			}
		}
		return n, err
	}
	list, err := store.List(ctx, namespace, &rest.ListOptions{LabelSelector: labels.Everything(), FieldSelector: fields.Everything()})
	if err != nil {
		return 0, err
	}
	for range list.Items {
		n++
	}
	return n, nil
}
