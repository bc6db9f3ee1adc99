package authorization

import (
	"context"
	"fmt"
	"slices"
	"strings"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/metrics"
)

// DefaultAlwaysAllowPaths are open to everyone who was let in: a probe carries no credentials.
var DefaultAlwaysAllowPaths = []string{"/healthz", "/livez", "/readyz"}

// Config says who decides, and in which order. Its zero value is RBAC over an empty index.
type Config struct {
	// Modes are asked in this order, after system:masters and the always-allowed paths; default RBAC.
	Modes []Mode
	// RBAC is the index that decides in mode RBAC; default an empty one.
	RBAC *RBAC
	// AlwaysAllowPaths are non-resource paths that nobody is refused; a trailing * makes one a prefix. Default
	// DefaultAlwaysAllowPaths.
	AlwaysAllowPaths []string
	Metrics          *metrics.Authorization
}

// Authorizer asks each mode in turn: the first that allows or denies decides. It implements
// authorizer.Authorizer and authorizer.RuleResolver.
type Authorizer struct {
	paths   []pathPattern
	steps   []step
	metrics *metrics.Authorization
}

// step is one mode at work.
type step struct {
	authorizer authorizer.Authorizer
	rules      authorizer.RuleResolver
	typ        string // as metrics know it
	name       string
}

// New returns the authorizer of cfg.
func New(cfg Config) (*Authorizer, error) {
	if cfg.Modes == nil {
		cfg.Modes = []Mode{ModeRBAC}
	}
	if cfg.AlwaysAllowPaths == nil {
		cfg.AlwaysAllowPaths = DefaultAlwaysAllowPaths
	}
	if cfg.RBAC == nil {
		cfg.RBAC = NewRBAC()
	}
	z := &Authorizer{metrics: cfg.Metrics}
	for _, path := range cfg.AlwaysAllowPaths {
		if star := strings.Index(path, "*"); star >= 0 && star != len(path)-1 {
			return nil, fmt.Errorf("reading the always-allowed path %q: only its last character may be *", path)
		}
	}
	z.paths = pathPatterns(cfg.AlwaysAllowPaths)
	for i, mode := range cfg.Modes {
		if slices.Contains(cfg.Modes[:i], mode) {
			return nil, fmt.Errorf("reading the authorization modes: %s is given twice", mode)
		}
		s := step{typ: string(mode), name: strings.ToLower(string(mode))}
		switch mode {
		case ModeRBAC:
			s.authorizer, s.rules = cfg.RBAC, cfg.RBAC
		case ModeAlwaysAllow:
			s.authorizer, s.rules = alwaysAllow{}, alwaysAllow{}
		case ModeAlwaysDeny:
			s.authorizer, s.rules = alwaysDeny{}, alwaysDeny{}
		default:
			return nil, fmt.Errorf("reading the authorization modes: %q is none of %s, %s and %s", mode, ModeAlwaysAllow, ModeAlwaysDeny, ModeRBAC)
		}
		z.steps = append(z.steps, s)
	}
	return z, nil
}

// Authorize allows or refuses what a asks for. No opinion is a refusal too, to be answered with 403, or with 500
// if there is an error.
func (z *Authorizer) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if u := a.GetUser(); u != nil && slices.Contains(u.GetGroups(), user.SystemPrivilegedGroup) {
		return authorizer.DecisionAllow, "", nil // whatever the modes say, somebody must be able to repair them
	}
	if !a.IsResourceRequest() && z.alwaysAllowed(a.GetPath()) {
		return authorizer.DecisionAllow, "", nil
	}
	var reasons []string
	var errs []error
	for i := range z.steps {
		s := &z.steps[i]
		decision, reason, err := s.authorizer.Authorize(ctx, a)
		if decision != authorizer.DecisionNoOpinion {
			s.count(z.metrics, decision)
			return decision, reason, err // an answer beats the errors before it
		}
		if reason != "" {
			reasons = append(reasons, reason)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return authorizer.DecisionNoOpinion, strings.Join(reasons, "\n"), utilerrors.NewAggregate(errs)
	}
	return authorizer.DecisionNoOpinion, strings.Join(reasons, "\n"), nil
}

func (z *Authorizer) alwaysAllowed(path string) bool {
	for _, p := range z.paths {
		if p.matches(path) {
			return true
		}
	}
	return false
}

func (s *step) count(m *metrics.Authorization, decision authorizer.Decision) {
	result := metrics.Denied
	if decision == authorizer.DecisionAllow {
		result = metrics.Allowed
	}
	m.Decided(s.typ, s.name, result)
}

// RulesFor lists what u may do everywhere and in namespace. With an error, the lists are what is known.
func (z *Authorizer) RulesFor(ctx context.Context, u user.Info, namespace string) (resources []authorizer.ResourceRuleInfo, urls []authorizer.NonResourceRuleInfo, incomplete bool, err error) {
	var errs []error
	for _, s := range z.steps {
		r, n, part, err := s.rules.RulesFor(ctx, u, namespace)
		resources, urls, incomplete = append(resources, r...), append(urls, n...), incomplete || part
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		err = utilerrors.NewAggregate(errs)
	}
	return resources, urls, incomplete, err
}
