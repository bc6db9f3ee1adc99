package core

import (
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/admission"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

func validatingWebhookConfigurations(e *admission.Expressions) registry.Resource {
	strategy := declare.Rules[*admissionv1.ValidatingWebhookConfiguration]{
		SetDefaults: func(c *admissionv1.ValidatingWebhookConfiguration) {
			for i := range c.Webhooks {
				defaultWebhook(validatingWebhook(&c.Webhooks[i]))
			}
		},
		Validate: func(c *admissionv1.ValidatingWebhookConfiguration) field.ErrorList {
			return validateWebhooks(e, len(c.Webhooks), func(i int) webhook { return validatingWebhook(&c.Webhooks[i]) })
		},
	}.Strategy()
	strategy.Generation = true
	return registry.Resource{
		GroupVersion: admissionv1.SchemeGroupVersion,
		Kind:         "ValidatingWebhookConfiguration",
		Name:         "validatingwebhookconfigurations",
		SingularName: "validatingwebhookconfiguration",
		Categories:   []string{"api-extensions"},
		New:          func() runtime.Object { return &admissionv1.ValidatingWebhookConfiguration{} },
		NewList:      func() runtime.Object { return &admissionv1.ValidatingWebhookConfigurationList{} },
		Strategy:     strategy,
		Table: declare.Table(func(c *admissionv1.ValidatingWebhookConfiguration) []any {
			return []any{c.Name, int64(len(c.Webhooks)), declare.Age(&c.ObjectMeta)}
		}, webhookColumns()...),
	}
}

func mutatingWebhookConfigurations(e *admission.Expressions) registry.Resource {
	strategy := declare.Rules[*admissionv1.MutatingWebhookConfiguration]{
		SetDefaults: func(c *admissionv1.MutatingWebhookConfiguration) {
			for i := range c.Webhooks {
				defaultWebhook(mutatingWebhook(&c.Webhooks[i]))
				declare.SetDefault(&c.Webhooks[i].ReinvocationPolicy, admissionv1.NeverReinvocationPolicy)
			}
		},
		Validate: func(c *admissionv1.MutatingWebhookConfiguration) field.ErrorList {
			errs := validateWebhooks(e, len(c.Webhooks), func(i int) webhook { return mutatingWebhook(&c.Webhooks[i]) })
			for i := range c.Webhooks {
				errs = append(errs, declare.OneOf(c.Webhooks[i].ReinvocationPolicy, field.NewPath("webhooks").Index(i).Child("reinvocationPolicy"),
					admissionv1.NeverReinvocationPolicy, admissionv1.IfNeededReinvocationPolicy)...)
			}
			return errs
		},
	}.Strategy()
	strategy.Generation = true
	return registry.Resource{
		GroupVersion: admissionv1.SchemeGroupVersion,
		Kind:         "MutatingWebhookConfiguration",
		Name:         "mutatingwebhookconfigurations",
		SingularName: "mutatingwebhookconfiguration",
		Categories:   []string{"api-extensions"},
		New:          func() runtime.Object { return &admissionv1.MutatingWebhookConfiguration{} },
		NewList:      func() runtime.Object { return &admissionv1.MutatingWebhookConfigurationList{} },
		Strategy:     strategy,
		Table: declare.Table(func(c *admissionv1.MutatingWebhookConfiguration) []any {
			return []any{c.Name, int64(len(c.Webhooks)), declare.Age(&c.ObjectMeta)}
		}, webhookColumns()...),
	}
}

func webhookColumns() []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{declare.NameColumn(), declare.IntegerColumn("Webhooks", "How many webhooks the configuration lists."), declare.AgeColumn()}
}

// webhook is what validating and mutating webhooks have in common, by reference, so that the two
// types are defaulted and checked by one rule.
type webhook struct {
	name              string
	clientConfig      *admissionv1.WebhookClientConfig
	rules             []admissionv1.RuleWithOperations
	failurePolicy     **admissionv1.FailurePolicyType
	matchPolicy       **admissionv1.MatchPolicyType
	namespaceSelector **metav1.LabelSelector
	objectSelector    **metav1.LabelSelector
	sideEffects       *admissionv1.SideEffectClass
	timeoutSeconds    **int32
	reviewVersions    []string
	matchConditions   []admissionv1.MatchCondition
}

func validatingWebhook(w *admissionv1.ValidatingWebhook) webhook {
	return webhook{w.Name, &w.ClientConfig, w.Rules, &w.FailurePolicy, &w.MatchPolicy, &w.NamespaceSelector, &w.ObjectSelector,
		w.SideEffects, &w.TimeoutSeconds, w.AdmissionReviewVersions, w.MatchConditions}
}

func mutatingWebhook(w *admissionv1.MutatingWebhook) webhook {
	return webhook{w.Name, &w.ClientConfig, w.Rules, &w.FailurePolicy, &w.MatchPolicy, &w.NamespaceSelector, &w.ObjectSelector,
		w.SideEffects, &w.TimeoutSeconds, w.AdmissionReviewVersions, w.MatchConditions}
}

func defaultWebhook(w webhook) {
	declare.SetDefault(w.failurePolicy, admissionv1.Fail)
	declare.SetDefault(w.matchPolicy, admissionv1.Equivalent)
	declare.SetDefault(w.namespaceSelector, metav1.LabelSelector{})
	declare.SetDefault(w.objectSelector, metav1.LabelSelector{})
	declare.SetDefault(w.timeoutSeconds, 10)
	for i := range w.rules {
		defaultRule(&w.rules[i].Rule)
	}
	if service := w.clientConfig.Service; service != nil {
		declare.SetDefault(&service.Port, 443)
	}
}

func validateWebhooks(e *admission.Expressions, n int, at func(int) webhook) field.ErrorList {
	var errs field.ErrorList
	seen := make(map[string]bool)
	for i := range n {
		w, path := at(i), field.NewPath("webhooks").Index(i)
		errs = append(errs, validation.IsFullyQualifiedName(path.Child("name"), w.name)...)
		if seen[w.name] {
			errs = append(errs, field.Duplicate(path.Child("name"), w.name))
		}
		seen[w.name] = true
		errs = append(errs, validateWebhook(e, w, path)...)
	}
	return errs
}

func validateWebhook(e *admission.Expressions, w webhook, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range w.rules {
		errs = append(errs, validateRule(&w.rules[i], path.Child("rules").Index(i))...)
	}
	errs = append(errs, declare.OneOf(*w.failurePolicy, path.Child("failurePolicy"), admissionv1.Ignore, admissionv1.Fail)...)
	errs = append(errs, declare.OneOf(*w.matchPolicy, path.Child("matchPolicy"), admissionv1.Exact, admissionv1.Equivalent)...)
	if w.sideEffects == nil {
		errs = append(errs, field.Required(path.Child("sideEffects"), "must specify one of None, NoneOnDryRun"))
	}
	errs = append(errs, declare.OneOf(w.sideEffects, path.Child("sideEffects"), admissionv1.SideEffectClassNone, admissionv1.SideEffectClassNoneOnDryRun)...)
	if t := *w.timeoutSeconds; t != nil && (*t < 1 || *t > 30) {
		errs = append(errs, field.Invalid(path.Child("timeoutSeconds"), *t, "the timeout value must be between 1 and 30 seconds"))
	}
	errs = append(errs, validateSelector(*w.namespaceSelector, path.Child("namespaceSelector"))...)
	errs = append(errs, validateSelector(*w.objectSelector, path.Child("objectSelector"))...)
	errs = append(errs, validateReviewVersions(w.reviewVersions, path.Child("admissionReviewVersions"))...)
	errs = append(errs, validateClientConfig(w.clientConfig, path.Child("clientConfig"))...)
	errs = append(errs, validateMatchConditions(w.matchConditions, path.Child("matchConditions"))...)
	return append(errs, e.Conditions(w.matchConditions, path.Child("matchConditions"))...)
}

func validateReviewVersions(versions []string, path *field.Path) field.ErrorList {
	accepted := []string{"v1", "v1beta1"}
	if len(versions) == 0 {
		return field.ErrorList{field.Required(path, "must specify one of "+strings.Join(accepted, ", "))}
	}
	var errs field.ErrorList
	understood := false
	seen := make(map[string]bool)
	for i, version := range versions {
		errs = append(errs, declare.Invalid(validation.IsDNS1035Label(version), path.Index(i), version)...)
		if seen[version] {
			errs = append(errs, field.Duplicate(path.Index(i), version))
		}
		seen[version] = true
		understood = understood || slices.Contains(accepted, version)
	}
	if len(errs) == 0 && !understood {
		errs = append(errs, field.Invalid(path, versions, "must include at least one of "+strings.Join(accepted, ", ")))
	}
	return errs
}

func validateClientConfig(c *admissionv1.WebhookClientConfig, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case (c.URL == nil) == (c.Service == nil):
		errs = append(errs, field.Required(path, "exactly one of url or service is required"))
	case c.URL != nil:
		errs = append(errs, validateWebhookURL(*c.URL, path.Child("url"))...)
	default:
		errs = append(errs, validateWebhookService(c.Service, path.Child("service"))...)
	}
	if len(c.CABundle) > 0 && !holdsCertificates(c.CABundle) {
		errs = append(errs, field.Invalid(path.Child("caBundle"), "<bytes>", "unable to load root certificates: no valid PEM certificate found"))
	}
	return errs
}

func validateWebhookURL(address string, path *field.Path) field.ErrorList {
	u, err := url.Parse(address)
	if err != nil {
		return field.ErrorList{field.Invalid(path, address, "must be a valid URL, such as https://host[:port]/path")}
	}
	var errs field.ErrorList
	if u.Scheme != "https" {
		errs = append(errs, field.Invalid(path, u.Scheme, "'https' is the only allowed URL scheme"))
	}
	if u.Host == "" {
		errs = append(errs, field.Invalid(path, address, "host must be specified"))
	}
	if u.User != nil {
		errs = append(errs, field.Invalid(path, u.Redacted(), "user information is not permitted in the URL"))
	}
	if u.Fragment != "" {
		errs = append(errs, field.Invalid(path, u.Fragment, "fragments are not permitted in the URL"))
	}
	if u.RawQuery != "" {
		errs = append(errs, field.Invalid(path, u.RawQuery, "query parameters are not permitted in the URL"))
	}
	return errs
}

func validateWebhookService(s *admissionv1.ServiceReference, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.Name == "" {
		errs = append(errs, field.Required(path.Child("name"), ""))
	}
	if s.Namespace == "" {
		errs = append(errs, field.Required(path.Child("namespace"), ""))
	}
	if s.Port != nil {
		errs = append(errs, declare.Invalid(validation.IsValidPortNum(int(*s.Port)), path.Child("port"), *s.Port)...)
	}
	if s.Path == nil {
		return errs
	}
	at, clean := path.Child("path"), *s.Path
	if !strings.HasPrefix(clean, "/") {
		return append(errs, field.Invalid(at, clean, "must start with a '/'"))
	}
	if clean == "/" {
		return errs
	}
	for _, segment := range strings.Split(strings.TrimSuffix(clean[1:], "/"), "/") {
		if segment == "" {
			errs = append(errs, field.Invalid(at, clean, "must not hold an empty segment"))
			continue
		}
		errs = append(errs, declare.Invalid(validation.IsDNS1123Subdomain(segment), at, clean)...)
	}
	return errs
}

func holdsCertificates(bundle []byte) bool {
	found := false
	for {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			return found
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return false
		}
		found = true
	}
}
