package admission

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/portico-api/portico/handler"
)

// validateWebhooks asks all webhooks that are about a write at once. The refusal of the first in order is the answer.
func (h *hooks) validateWebhooks(ctx context.Context, rv *review) error {
	type invocation struct {
		hook *webhook
		form int
	}
	var asked []invocation
	for _, w := range h.validatingWebhooks {
		form, ok, err := w.wants(ctx, rv)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		// All that calls share is made before they run side by side.
		if _, _, err := rv.encoded(form); err != nil {
			return apierrors.NewInternalError(err)
		}
		if _, _, err := rv.evaluable(form); err != nil {
			return apierrors.NewInternalError(err)
		}
		asked = append(asked, invocation{w, form})
	}
	errs := make([]error, len(asked))
	ask := func(i int) {
		w, begin := asked[i].hook, time.Now()
		_, err := w.call(ctx, rv, asked[i].form)
		if errs[i] = w.settle(ctx, rv, err, time.Since(begin)); err != nil && errs[i] == nil {
			handler.RecordFrom(ctx).Annotate(fmt.Sprintf("failed-open.validating.webhook.admission.k8s.io/round_0_index_%d", i), w.name)
		}
	}
	begin := time.Now()
	var all sync.WaitGroup
	for i := 1; i < len(asked); i++ {
		all.Go(func() { ask(i) })
	}
	if len(asked) > 0 {
		ask(0)
	}
	all.Wait()
	if len(asked) > 0 {
		handler.AddWait(ctx, time.Since(begin)) // for the slowest: they ran side by side
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// wants tells whether a webhook is about a write, and in which form it wants to see it.
func (w *webhook) wants(ctx context.Context, rv *review) (form int, ok bool, err error) {
	form, ok, err = w.matches(ctx, rv)
	if err != nil {
		return 0, false, statusOf(err)
	}
	if !ok || w.conditions == nil {
		return form, ok, nil
	}
	if ok, err = w.conditions.met(ctx, rv, form, w.step(), nil); err != nil {
		return 0, false, apierrors.NewForbidden(rv.forms[0].Resource.GroupResource(), rv.Name, err)
	}
	return form, ok, nil
}

// statusOf is err as a client gets it.
func statusOf(err error) error {
	if _, ok := err.(apierrors.APIStatus); ok {
		return err
	}
	return apierrors.NewInternalError(err)
}
