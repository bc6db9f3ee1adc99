package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Admission observes what is asked before a write is stored. typ is "admit" or "validate" ("validating" for webhooks, as
// dashboards know it), operation is "CREATE", "UPDATE" or "DELETE".
type Admission struct {
	steps       *bound[admissionStep, stepObservers]
	controllers *bound[admissionStep, prometheus.Observer]

	webhooks, conditions, validations, mutations                                      *prometheus.HistogramVec
	requests, rejections, failedOpen, exclusions, conditionErrors, validated, mutated *prometheus.CounterVec
}

type admissionStep struct {
	name, typ, operation string // name of a controller; empty for all together
	rejected             bool
}

type stepObservers struct{ histogram, summary prometheus.Observer }

var (
	admissionBuckets = []float64{.005, .025, .1, .5, 1, 2.5}
	webhookBuckets   = []float64{.005, .025, .1, .5, 1, 2.5, 10, 25}
	conditionBuckets = []float64{.001, .005, .01, .025, .1, .2, .25}
	policyBuckets    = []float64{5e-7, .001, .01, .1, 1}
)

// summaryAge is how long a write counts in the summary of steps.
const summaryAge = 5 * time.Hour

func newAdmission(r prometheus.Registerer) *Admission {
	const prefix = "apiserver_admission_"
	steps := histograms(r, prefix+"step_admission_duration_seconds",
		"[STABLE] How long a step of admission took, by type, operation and outcome.", admissionBuckets, "type", "operation", "rejected")
	summary := prometheus.NewSummaryVec(prometheus.SummaryOpts{
		Name:   prefix + "step_admission_duration_seconds_summary",
		Help:   "[ALPHA] How long a step of admission took, by type, operation and outcome.",
		MaxAge: summaryAge,
	}, []string{"type", "operation", "rejected"})
	r.MustRegister(summary)
	controllers := histograms(r, prefix+"controller_admission_duration_seconds",
		"[STABLE] How long one admission controller took, by name, type, operation and outcome.", admissionBuckets, "name", "type", "operation", "rejected")
	policyLabels := []string{"policy", "policy_binding", "error_type", "enforcement_action"}
	mutationLabels := []string{"policy", "policy_binding", "error_type"}
	own := func(k admissionStep) admissionStep { return k } // all of them are words of this program
	return &Admission{
		steps: newBound(own, func(k admissionStep) stepObservers {
			rejected := strconv.FormatBool(k.rejected)
			return stepObservers{steps.WithLabelValues(k.typ, k.operation, rejected), summary.WithLabelValues(k.typ, k.operation, rejected)}
		}),
		controllers: newBound(own, func(k admissionStep) prometheus.Observer {
			return controllers.WithLabelValues(k.name, k.typ, k.operation, strconv.FormatBool(k.rejected))
		}),
		webhooks: histograms(r, prefix+"webhook_admission_duration_seconds",
			"[STABLE] How long a webhook took, by name, type, operation and outcome.", webhookBuckets, "name", "type", "operation", "rejected"),
		requests: counters(r, prefix+"webhook_request_total",
			"[ALPHA] Calls of a webhook, by name, type, operation, status code and outcome.", "name", "type", "operation", "code", "rejected"),
		rejections: counters(r, prefix+"webhook_rejection_count",
			"[ALPHA] Writes refused because of a webhook, by what was wrong and the code that it gave.", "name", "type", "operation", "error_type", "rejection_code"),
		failedOpen: counters(r, prefix+"webhook_fail_open_count",
			"[ALPHA] Calls of a webhook that failed and were ignored, as it wants it.", "name", "type"),
		conditions: histograms(r, prefix+"match_condition_evaluation_seconds",
			"[ALPHA] How long the match conditions of a webhook or policy took.", conditionBuckets, "name", "kind", "type", "operation"),
		exclusions: counters(r, prefix+"match_condition_exclusions_total",
			"[ALPHA] Writes that the match conditions of a webhook or policy kept from it.", "name", "kind", "type", "operation"),
		conditionErrors: counters(r, prefix+"match_condition_evaluation_errors_total",
			"[ALPHA] Writes for which the match conditions of a webhook or policy could not be evaluated.", "name", "kind", "type", "operation"),
		validated: counters(r, "apiserver_validating_admission_policy_check_total",
			"[BETA] Expressions of validating policies evaluated, by policy, binding, what was wrong and what followed.", policyLabels...),
		validations: histograms(r, "apiserver_validating_admission_policy_check_duration_seconds",
			"[BETA] How long an expression of a validating policy took.", policyBuckets, policyLabels...),
		mutated: counters(r, "apiserver_mutating_admission_policy_check_total",
			"[ALPHA] Mutations of mutating policies evaluated, by policy, binding and what was wrong.", mutationLabels...),
		mutations: histograms(r, "apiserver_mutating_admission_policy_check_duration_seconds",
			"[ALPHA] How long a mutation of a mutating policy took.", policyBuckets, mutationLabels...),
	}
}

// Step observes all that was asked of a write at one time.
func (a *Admission) Step(typ, operation string, rejected bool, d time.Duration) {
	if a == nil {
		return
	}
	o := a.steps.get(admissionStep{"", typ, operation, rejected})
	o.histogram.Observe(d.Seconds())
	o.summary.Observe(d.Seconds())
}

// Controller observes one of those that were asked.
func (a *Admission) Controller(name, typ, operation string, rejected bool, d time.Duration) {
	if a != nil {
		a.controllers.get(admissionStep{name, typ, operation, rejected}).Observe(d.Seconds())
	}
}

// webhookCode is the label of a code that a webhook gives. It may be any number, and must not make as many series.
func webhookCode(code int) string {
	const unanswered, most = 0, 600
	if code == unanswered {
		return "0"
	}
	if code < 0 || code >= most {
		return strconv.Itoa(most)
	}
	return codeLabel(code)
}

// Webhook observes one call.
func (a *Admission) Webhook(name, typ, operation string, rejected bool, code int, d time.Duration) {
	if a == nil {
		return
	}
	outcome := strconv.FormatBool(rejected)
	a.requests.WithLabelValues(name, typ, operation, webhookCode(code), outcome).Inc()
	a.webhooks.WithLabelValues(name, typ, operation, outcome).Observe(d.Seconds())
}

// WebhookRejected counts a write that was refused. problem is "no_error" when the webhook wanted that, else
// "calling_webhook_error" or "apiserver_internal_error".
func (a *Admission) WebhookRejected(name, typ, operation, problem string, code int) {
	if a != nil {
		a.rejections.WithLabelValues(name, typ, operation, problem, webhookCode(code)).Inc()
	}
}

// WebhookFailedOpen counts a failed call that did not matter.
func (a *Admission) WebhookFailedOpen(name, typ string) {
	if a != nil {
		a.failedOpen.WithLabelValues(name, typ).Inc()
	}
}

// Conditions observes the evaluation of match conditions of a "webhook" or "policy". excluded tells that they kept the
// write from it.
func (a *Admission) Conditions(name, kind, typ, operation string, excluded bool, err error, d time.Duration) {
	if a == nil {
		return
	}
	a.conditions.WithLabelValues(name, kind, typ, operation).Observe(d.Seconds())
	switch {
	case err != nil:
		a.conditionErrors.WithLabelValues(name, kind, typ, operation).Inc()
	case excluded:
		a.exclusions.WithLabelValues(name, kind, typ, operation).Inc()
	}
}

// Validation observes one expression of a validating policy. problem is "no_error", "compile_error", "invalid_error" or
// "out_of_budget"; action is "allow", "deny", "warn" or "audit".
func (a *Admission) Validation(policy, binding, problem, action string, d time.Duration) {
	if a != nil {
		a.validated.WithLabelValues(policy, binding, problem, action).Inc()
		a.validations.WithLabelValues(policy, binding, problem, action).Observe(d.Seconds())
	}
}

// Mutation observes one mutation of a mutating policy.
func (a *Admission) Mutation(policy, binding, problem string, d time.Duration) {
	if a != nil {
		a.mutated.WithLabelValues(policy, binding, problem).Inc()
		a.mutations.WithLabelValues(policy, binding, problem).Observe(d.Seconds())
	}
}
