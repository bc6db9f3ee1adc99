package admission

import (
	"fmt"
	"slices"
	"time"

	registrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/portico-api/portico/delegation/hookclient"
)

// webhook is one hook of a stored configuration, ready to be asked. It is never changed.
type webhook struct {
	configuration, name string
	id                  string // tells it from every other
	mutating            bool
	*matcher
	conditions *conditions // nil when there are none
	failOpen   bool        // a call that fails does not matter
	dryRun     bool        // may be asked about what is not going to happen
	reinvoke   bool        // wants to see what others have changed after it
	timeout    time.Duration
	version    string // of AdmissionReview that it understands
	client     *hookclient.Client
}

// step is the webhook's type in metrics.
func (w *webhook) step() string {
	if w.mutating {
		return stepAdmit
	}
	return "validating"
}

// defaultTimeout is what the API gives a webhook that does not say.
const defaultTimeout = 10 * time.Second

// mutatingWebhooks makes the hooks of a configuration. clients are shared by hooks that are at the same place.
func mutatingWebhooks(c *registrationv1.MutatingWebhookConfiguration, clients *hookclient.Clients, compile *compiler) ([]*webhook, error) {
	hooks := make([]*webhook, 0, len(c.Webhooks))
	for i := range c.Webhooks {
		declared := &c.Webhooks[i]
		w, err := newWebhook(c.Name, i, (*registrationv1.ValidatingWebhook)(&registrationv1.ValidatingWebhook{
			Name: declared.Name, ClientConfig: declared.ClientConfig, Rules: declared.Rules, FailurePolicy: declared.FailurePolicy,
			MatchPolicy: declared.MatchPolicy, NamespaceSelector: declared.NamespaceSelector, ObjectSelector: declared.ObjectSelector,
			SideEffects: declared.SideEffects, TimeoutSeconds: declared.TimeoutSeconds,
			AdmissionReviewVersions: declared.AdmissionReviewVersions, MatchConditions: declared.MatchConditions,
		}), clients, compile)
		if err != nil {
			return nil, err
		}
		w.mutating = true
		w.reinvoke = declared.ReinvocationPolicy != nil && *declared.ReinvocationPolicy == registrationv1.IfNeededReinvocationPolicy
		hooks = append(hooks, w)
	}
	return hooks, nil
}

// validatingWebhooks makes the hooks of a configuration.
func validatingWebhooks(c *registrationv1.ValidatingWebhookConfiguration, clients *hookclient.Clients, compile *compiler) ([]*webhook, error) {
	hooks := make([]*webhook, 0, len(c.Webhooks))
	for i := range c.Webhooks {
		w, err := newWebhook(c.Name, i, &c.Webhooks[i], clients, compile)
		if err != nil {
			return nil, err
		}
		hooks = append(hooks, w)
	}
	return hooks, nil
}

func newWebhook(configuration string, index int, declared *registrationv1.ValidatingWebhook, clients *hookclient.Clients, compile *compiler) (*webhook, error) {
	rules := make([]registrationv1.NamedRuleWithOperations, len(declared.Rules))
	for i := range declared.Rules {
		rules[i].RuleWithOperations = declared.Rules[i]
	}
	m, err := newMatcher(rules, nil, declared.MatchPolicy, declared.NamespaceSelector, declared.ObjectSelector)
	if err != nil {
		return nil, fmt.Errorf("reading webhook %s of %s: %w", declared.Name, configuration, err)
	}
	w := &webhook{
		configuration: configuration,
		name:          declared.Name,
		id:            fmt.Sprintf("%s/%s/%d", configuration, declared.Name, index),
		matcher:       m,
		failOpen:      declared.FailurePolicy != nil && *declared.FailurePolicy == registrationv1.Ignore,
		timeout:       defaultTimeout,
		client:        clients.Of(&declared.ClientConfig),
	}
	if len(rules) == 0 { // without a rule there is nothing that it wants to see
		w.matcher = &matcher{rules: make([]registrationv1.NamedRuleWithOperations, 1), namespaces: m.namespaces, objects: m.objects}
	}
	if s := declared.SideEffects; s != nil {
		w.dryRun = *s == registrationv1.SideEffectClassNone || *s == registrationv1.SideEffectClassNoneOnDryRun
	}
	if declared.TimeoutSeconds != nil {
		w.timeout = time.Duration(*declared.TimeoutSeconds) * time.Second
	}
	if i := slices.IndexFunc(declared.AdmissionReviewVersions, understood); i >= 0 {
		w.version = declared.AdmissionReviewVersions[i]
	}
	if len(declared.MatchConditions) > 0 {
		w.conditions = newConditions(declared.Name, "webhook", declared.MatchConditions, w.failOpen, compile)
	}
	return w, nil
}

// understood tells whether reviews can be sent in a version.
func understood(version string) bool { return version == "v1" || version == "v1beta1" }
