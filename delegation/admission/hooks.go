package admission

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	registrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/delegation/controller"
	"github.com/portico-api/portico/delegation/hookclient"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/metrics"
)

// Config is what hooks need of the server that they belong to.
type Config struct {
	// Namespace reads a namespace, whose labels selectors look at.
	Namespace func(ctx context.Context, name string) (*corev1.Namespace, error)
	// Authorizer answers expressions that ask what a user may do.
	Authorizer authorizer.Authorizer
	// Params finds the objects of a kind that policies take as parameters; nil, and a kind that is not known, find none.
	Params func(schema.GroupVersionKind) (Params, bool)
	// Addresses is where services are; nil knows none.
	Addresses hookclient.Addresses
	// UserAgent is what webhooks are told that asks them.
	UserAgent string
	Metrics   *metrics.Admission
	// Peers observes the certificates of webhooks; nil means that nobody does.
	Peers *metrics.Peers
}

// Hooks are the webhooks and policies of a server. They follow what is stored.
type Hooks struct {
	cfg     Config
	compile *compiler
	clients *hookclient.Clients
	now     atomic.Pointer[hooks]

	mu                                   sync.Mutex
	mutating, validating                 map[string]declared[[]*webhook]
	mutatingPolicies                     map[string]declared[*mutatingPolicy]
	validatingPolicies                   map[string]declared[*validatingPolicy]
	mutatingBindings, validatingBindings map[string]declared[*binding]
}

// declared is what was made of a stored object.
type declared[T any] struct {
	version string // of what the object declares: its status may change
	made    T
}

// hooks are all that there are at one moment, in the order in which they are asked: that of their names.
type hooks struct {
	mutatingPolicies   []bound[*mutatingPolicy]
	mutatingWebhooks   []*webhook
	validatingPolicies []bound[*validatingPolicy]
	validatingWebhooks []*webhook
}

func (h *hooks) mutate() bool { return len(h.mutatingPolicies) > 0 || len(h.mutatingWebhooks) > 0 }
func (h *hooks) validate() bool {
	return len(h.validatingPolicies) > 0 || len(h.validatingWebhooks) > 0
}

// NewHooks returns hooks that know of nothing stored yet.
func NewHooks(cfg Config) *Hooks {
	compile := newCompiler()
	h := &Hooks{
		cfg:                cfg,
		compile:            compile,
		clients:            hookclient.NewClients(cfg.Addresses, cfg.UserAgent, cfg.Peers),
		mutating:           map[string]declared[[]*webhook]{},
		validating:         map[string]declared[[]*webhook]{},
		mutatingPolicies:   map[string]declared[*mutatingPolicy]{},
		validatingPolicies: map[string]declared[*validatingPolicy]{},
		mutatingBindings:   map[string]declared[*binding]{},
		validatingBindings: map[string]declared[*binding]{},
	}
	h.now.Store(&hooks{})
	return h
}

func (h *Hooks) current() *hooks { return h.now.Load() }

// Stores are where hooks are declared.
type Stores struct {
	MutatingWebhooks, ValidatingWebhooks                                       *registry.Store
	MutatingPolicies, MutatingBindings, ValidatingPolicies, ValidatingBindings *registry.Store
}

// Load learns of all that is stored. Until then no write may be asked about.
func (h *Hooks) Load(ctx context.Context, stores Stores) error {
	for _, s := range stores.all(h) {
		if err := s.load(ctx); err != nil {
			return err
		}
	}
	h.publish()
	return nil
}

// Run follows what is stored until ctx ends, and then closes the connections to webhooks.
func (h *Hooks) Run(ctx context.Context, stores Stores, started func()) error {
	defer h.clients.KeepOnly(nil)
	var missing atomic.Int32
	var following []func(context.Context) error
	for _, s := range stores.all(h) {
		missing.Add(1)
		following = append(following, func(ctx context.Context) error {
			return s.store.Follow(ctx, s.changed, func() {
				s.told()
				if missing.Add(-1) == 0 {
					started()
				}
			})
		})
	}
	return controller.RunAll(ctx, following...)
}

// source is one kind of declared hooks.
type source struct {
	store   *registry.Store
	load    func(ctx context.Context) error
	changed func(registry.Change)
	told    func() // all that is stored has been: what was loaded and was not told of has gone in between
}

func (s *Stores) all(h *Hooks) []source {
	return []source{
		sourceOf(h, s.MutatingWebhooks, h.mutating, func(c *registrationv1.MutatingWebhookConfiguration) ([]*webhook, error) {
			return mutatingWebhooks(c, h.clients, h.compile)
		}),
		sourceOf(h, s.ValidatingWebhooks, h.validating, func(c *registrationv1.ValidatingWebhookConfiguration) ([]*webhook, error) {
			return validatingWebhooks(c, h.clients, h.compile)
		}),
		sourceOf(h, s.MutatingPolicies, h.mutatingPolicies, func(p *registrationv1.MutatingAdmissionPolicy) (*mutatingPolicy, error) {
			return newMutatingPolicy(p, h.compile), nil
		}),
		sourceOf(h, s.MutatingBindings, h.mutatingBindings, func(b *registrationv1.MutatingAdmissionPolicyBinding) (*binding, error) {
			return newBinding(b.Name, b.Spec.PolicyName, b.Spec.MatchResources, b.Spec.ParamRef, nil)
		}),
		sourceOf(h, s.ValidatingPolicies, h.validatingPolicies, func(p *registrationv1.ValidatingAdmissionPolicy) (*validatingPolicy, error) {
			return newValidatingPolicy(p, h.compile), nil
		}),
		sourceOf(h, s.ValidatingBindings, h.validatingBindings, func(b *registrationv1.ValidatingAdmissionPolicyBinding) (*binding, error) {
			return newBinding(b.Name, b.Spec.PolicyName, b.Spec.MatchResources, b.Spec.ParamRef, b.Spec.ValidationActions)
		}),
	}
}

// object is a stored declaration.
type object interface {
	runtime.Object
	metav1.Object
}

// sourceOf keeps in known what read makes of the objects of a store.
func sourceOf[O object, T any](h *Hooks, store *registry.Store, known map[string]declared[T], read func(O) (T, error)) source {
	note := func(o O) bool {
		version := fmt.Sprintf("%s/%d", o.GetUID(), o.GetGeneration())
		if known[o.GetName()].version == version {
			return false
		}
		made, err := read(o)
		if err != nil { // it was validated; only another program can have stored it
			klog.Background().Error(err, "A hook cannot be understood and is not asked")
			delete(known, o.GetName())
			return true
		}
		known[o.GetName()] = declared[T]{version, made}
		return true
	}
	seen := map[string]bool{} // nil once all have been told of
	return source{
		store: store,
		told: func() {
			h.mu.Lock()
			maps.DeleteFunc(known, func(name string, _ declared[T]) bool { return !seen[name] })
			seen = nil
			h.mu.Unlock()
			h.publish()
		},
		load: func(ctx context.Context) error {
			all, err := registry.ListAs[O](ctx, store, "")
			if err != nil {
				return err
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			for _, o := range all {
				note(o)
			}
			return nil
		},
		changed: func(change registry.Change) {
			o := change.Object.(O)
			h.mu.Lock()
			if seen != nil {
				seen[o.GetName()] = !change.Deleted
			}
			changed := true
			if change.Deleted {
				delete(known, o.GetName())
			} else {
				changed = note(o)
			}
			h.mu.Unlock()
			if changed {
				h.publish()
			}
		},
	}
}

// publish puts what is known into force.
func (h *Hooks) publish() {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := &hooks{
		mutatingWebhooks:   flatten(h.mutating),
		validatingWebhooks: flatten(h.validating),
		mutatingPolicies:   bind(h.mutatingPolicies, h.mutatingBindings),
		validatingPolicies: bind(h.validatingPolicies, h.validatingBindings),
	}
	h.now.Store(next)
	used := map[*hookclient.Client]bool{}
	for _, w := range slices.Concat(next.mutatingWebhooks, next.validatingWebhooks) {
		used[w.client] = true
	}
	h.clients.KeepOnly(used)
}

func flatten(configurations map[string]declared[[]*webhook]) []*webhook {
	var all []*webhook
	for _, name := range slices.Sorted(maps.Keys(configurations)) {
		all = append(all, configurations[name].made...)
	}
	return all
}

// bind puts policies into force that have a binding.
func bind[P any](policies map[string]declared[P], bindings map[string]declared[*binding]) []bound[P] {
	of := map[string][]*binding{}
	for _, name := range slices.Sorted(maps.Keys(bindings)) {
		b := bindings[name].made
		of[b.policy] = append(of[b.policy], b)
	}
	var all []bound[P]
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		if len(of[name]) > 0 {
			all = append(all, bound[P]{policies[name].made, of[name]})
		}
	}
	return all
}
