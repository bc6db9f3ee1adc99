package core

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/delegation/controller"
	"github.com/portico-api/portico/delegation/registry"
)

// aggregationRetry is the pause after a write that failed for another reason than a faster writer.
const aggregationRetry = time.Second

// AggregateClusterRoles keeps the rules of every cluster role that has an aggregation rule equal to those
// of the cluster roles it selects, until ctx ends. Without it admin, edit and view would allow nothing.
func AggregateClusterRoles(ctx context.Context, clusterRoles *registry.Store) error {
	a := &aggregation{store: clusterRoles, changed: make(chan struct{}, 1), roles: map[string]*rbacv1.ClusterRole{}}
	return controller.RunAll(ctx, a.follow, a.write)
}

type aggregation struct {
	store   *registry.Store
	changed chan struct{} // many changes, one look

	mu    sync.Mutex
	roles map[string]*rbacv1.ClusterRole
}

func (a *aggregation) follow(ctx context.Context) error {
	synced := false
	err := a.store.Follow(ctx, func(c registry.Change) {
		r := c.Object.(*rbacv1.ClusterRole)
		a.mu.Lock()
		if c.Deleted {
			delete(a.roles, r.Name)
		} else {
			a.roles[r.Name] = r
		}
		a.mu.Unlock()
		if synced { // before, a role would lose the rules of those that have not been seen yet
			a.notify()
		}
	}, func() {
		synced = true
		a.notify()
	})
	if err != nil {
		return fmt.Errorf("following clusterroles to aggregate them: %w", err)
	}
	return nil
}

func (a *aggregation) notify() {
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

func (a *aggregation) write(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.changed:
		}
		for name, rules := range a.outdated() {
			err := a.writeOne(ctx, name, rules)
			if err == nil || ctx.Err() != nil {
				continue
			}
			klog.FromContext(ctx).Error(err, "Writing the aggregated rules of a cluster role", "clusterRole", name)
			time.AfterFunc(aggregationRetry, a.notify)
		}
	}
}

func (a *aggregation) writeOne(ctx context.Context, name string, rules []rbacv1.PolicyRule) error {
	_, err := registry.UpdateAs(ctx, a.store, "", name, func(r *rbacv1.ClusterRole) error {
		if r.AggregationRule != nil { // it may have been taken away meanwhile, and then the rules are the operator's
			r.Rules = rules
		}
		return nil
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// outdated returns the new rules of those aggregated roles whose rules are not right.
func (a *aggregation) outdated() map[string][]rbacv1.PolicyRule {
	a.mu.Lock()
	defer a.mu.Unlock()
	outdated := map[string][]rbacv1.PolicyRule{}
	for name, r := range a.roles {
		if r.AggregationRule == nil {
			continue
		}
		rules := a.collect(r)
		if !equality.Semantic.DeepEqual(rules, r.Rules) {
			outdated[name] = rules
		}
	}
	return outdated
}

// collect goes by name, so that the same roles always give the same rules.
func (a *aggregation) collect(r *rbacv1.ClusterRole) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	names := slices.Sorted(maps.Keys(a.roles))
	for i := range r.AggregationRule.ClusterRoleSelectors {
		selector, err := metav1.LabelSelectorAsSelector(&r.AggregationRule.ClusterRoleSelectors[i])
		if err != nil {
			continue // validation lets none such in
		}
		for _, name := range names {
			other := a.roles[name]
			if name == r.Name || !selector.Matches(labels.Set(other.Labels)) {
				continue
			}
			for _, rule := range other.Rules {
				rules = appendNew(rules, rule)
			}
		}
	}
	return rules
}
