package admission

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/rest"
)

// askWebhooks asks one webhook after another; each sees what those before it have made.
func (m *mutation) askWebhooks(ctx context.Context, h *hooks) (changed bool, err error) {
	for i, w := range h.mutatingWebhooks {
		form, ok, err := w.wants(ctx, m.review)
		if err != nil {
			return changed, err
		}
		if !ok || m.second && !m.webhooks.again[w.id] {
			continue
		}
		begin := time.Now()
		patched, err := m.askWebhook(ctx, w, form, i)
		failed, took := err != nil, time.Since(begin)
		handler.AddWait(ctx, took)
		if err = w.settle(ctx, m.review, err, took); err != nil {
			return changed, err
		}
		if failed {
			handler.RecordFrom(ctx).Annotate(m.annotation("failed-open.mutation", i), w.name)
		}
		if patched {
			changed = true
			m.webhooks.changed()
		}
		if w.reinvoke {
			m.webhooks.invoked(w.id)
		}
	}
	return changed, nil
}

// askWebhook asks one and applies what it wants. changed tells whether that made a difference.
func (m *mutation) askWebhook(ctx context.Context, w *webhook, form, index int) (changed bool, err error) {
	defer func() {
		handler.RecordFrom(ctx).Annotate(m.annotation("mutation", index), annotationOf(mutated{w.configuration, w.name, changed}))
	}()
	said, err := w.call(ctx, m.review, form)
	if err != nil {
		return false, err
	}
	return m.apply(ctx, w, said, form, index)
}

// apply changes the object as a webhook wants it.
func (m *mutation) apply(ctx context.Context, w *webhook, said *admissionv1.AdmissionResponse, form, index int) (changed bool, err error) {
	if len(said.Patch) == 0 {
		return false, nil
	}
	patch, err := rest.ParseJSONPatch(said.Patch)
	if err != nil {
		return false, &failure{w.name, fmt.Errorf("received undecodable patch in webhook response: %w", err), codeUnanswered}
	}
	if len(patch) == 0 {
		return false, nil
	}
	before, _, err := m.encoded(form)
	if err != nil {
		return false, apierrors.NewInternalError(err)
	}
	if before == nil {
		return false, apierrors.NewInternalError(fmt.Errorf("admission webhook %q attempted to modify the object, which is not supported for this operation", w.name))
	}
	after, err := patch.Apply(before)
	if err == nil {
		err = m.change(form, after, false)
	}
	if err != nil {
		return false, apierrors.NewInternalError(fmt.Errorf("applying the patch of webhook %q: %w", w.name, err))
	}
	if m.wantsPatches(ctx) {
		handler.RecordFrom(ctx).Annotate(m.annotation("patch", index), annotationOf(patchedBy{w.configuration, w.name, said.Patch, admissionv1.PatchTypeJSONPatch}))
	}
	after, _, err = m.encoded(form) // with defaults, and without what the kind does not have
	if err != nil {
		return false, apierrors.NewInternalError(err)
	}
	return !bytes.Equal(before, after), nil
}

// annotation is the key by which an audit log tells of one call (contract 9).
func (m *mutation) annotation(kind string, index int) string {
	round := 0
	if m.second {
		round = 1
	}
	return fmt.Sprintf("%s.webhook.admission.k8s.io/round_%d_index_%d", kind, round, index)
}

// wantsPatches tells whether this request's audit event holds what was sent: a patch may hold secrets, too.
func (m *mutation) wantsPatches(ctx context.Context) bool {
	return handler.RecordFrom(ctx).WantsRequest()
}

type mutated struct {
	Configuration string `json:"configuration"`
	Webhook       string `json:"webhook"`
	Mutated       bool   `json:"mutated"`
}

type patchedBy struct {
	Configuration string                `json:"configuration"`
	Webhook       string                `json:"webhook"`
	Patch         json.RawMessage       `json:"patch,omitempty"`
	PatchType     admissionv1.PatchType `json:"patchType,omitempty"`
}

func annotationOf(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error() // of our own types: it cannot be
	}
	return string(text)
}
