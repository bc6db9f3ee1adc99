package admission

import (
	"context"
	"errors"
	"fmt"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	webhookerrors "k8s.io/apiserver/pkg/admission/plugin/webhook/errors"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/handler"
)

// failure is a webhook that could not be asked, or whose answer is none. Whether it matters is the webhook's to say.
type failure struct {
	webhook string
	reason  error
	code    int32 // what metrics show of it
}

func (f *failure) Error() string {
	return fmt.Sprintf("failed calling webhook %q: %v", f.webhook, f.reason)
}

func (f *failure) Unwrap() error { return f.reason }

// refusal is a webhook's no.
type refusal struct{ *apierrors.StatusError }

const (
	codeUnanswered = 503
	codeBroken     = 400
)

// call asks w about a write in one form. The error is a *failure, a *refusal or a Status.
func (w *webhook) call(ctx context.Context, rv *review, form int) (said *admissionv1.AdmissionResponse, err error) {
	ctx, span := handler.StartSpan(ctx, "webhook")
	span.Set("webhook", w.name)
	defer func() { span.End(err) }()
	if rv.DryRun && !w.dryRun {
		return nil, webhookerrors.NewDryRunUnsupportedErr(w.name)
	}
	if w.version == "" {
		return nil, &failure{w.name, errors.New("webhook does not accept known AdmissionReview versions (v1, v1beta1)"), codeBroken}
	}
	uid, body, err := question(rv, form, w.version)
	if err != nil {
		return nil, &failure{w.name, fmt.Errorf("could not create admission objects: %w", err), codeBroken}
	}
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	deadline, _ := ctx.Deadline() // the request's may be earlier
	body, err = w.client.Post(ctx, body, time.Until(deadline))
	if err != nil {
		return nil, &failure{w.name, fmt.Errorf("failed to call webhook: %w", err), codeOf(err)}
	}
	said, err = answer(body, w, uid)
	if err != nil {
		return nil, &failure{w.name, fmt.Errorf("received invalid webhook response: %w", err), codeUnanswered}
	}
	for key, value := range said.AuditAnnotations {
		handler.RecordFrom(ctx).Annotate(w.name+"/"+key, value)
	}
	for _, text := range said.Warnings {
		handler.AddWarning(ctx, text)
	}
	if !said.Allowed {
		return nil, &refusal{webhookerrors.ToStatusErr(w.name, said.Result)}
	}
	return said, nil
}

func codeOf(err error) int32 {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return status.Status().Code
	}
	return codeUnanswered
}

// settle makes of a call's error what the client gets, nil when it does not matter, and counts the call.
func (w *webhook) settle(ctx context.Context, rv *review, err error, took time.Duration) error {
	m, operation := rv.hooks.cfg.Metrics, string(rv.Operation)
	if err == nil {
		m.Webhook(w.name, w.step(), operation, false, 200, took)
		return nil
	}
	var failed *failure
	var refused *refusal
	code, problem, rejected := int32(0), "apiserver_internal_error", true
	switch {
	case errors.As(err, &failed):
		code, problem, rejected = failed.code, "calling_webhook_error", !w.failOpen
		if !rejected {
			klog.FromContext(ctx).Info("A webhook cannot be asked, and the write goes on without it", "webhook", w.name, "err", failed.reason)
			m.WebhookFailedOpen(w.name, w.step())
		}
		err = apierrors.NewInternalError(err)
	case errors.As(err, &refused):
		code, problem = refused.ErrStatus.Code, "no_error"
		err = refused.StatusError
	}
	m.Webhook(w.name, w.step(), operation, rejected, int(code), took)
	if rejected && !errors.Is(ctx.Err(), context.Canceled) {
		m.WebhookRejected(w.name, w.step(), operation, problem, int(code))
	}
	if rejected {
		return err
	}
	if ctx.Err() != nil { // it was not the webhook that took too long
		return apierrors.NewTimeoutError("request did not complete within requested timeout", 0)
	}
	return nil
}
