package admission

import (
	"bytes"
	"context"
	"time"
)

// mutation is the part of admission that changes a write: mutating policies and then mutating webhooks. When one of them has
// changed the object, those that were asked before and want to know of it are asked once more, in a second round.
type mutation struct {
	*review
	second             bool
	policies, webhooks reinvocation
}

func newMutation(rv *review) *mutation { return &mutation{review: rv} }

// reinvocation remembers which hooks of one kind are to be asked again.
type reinvocation struct {
	asked map[string]bool // those that want to be asked again if others change the object
	again map[string]bool // those of them for which it was
	left  []byte          // the object as the first round left it
}

// invoked notes a hook that wants to be asked again.
func (r *reinvocation) invoked(id string) {
	if r.asked == nil {
		r.asked = map[string]bool{}
	}
	r.asked[id] = true
}

// changed notes that the object has been changed: all that were asked so far are to be asked again.
func (r *reinvocation) changed() {
	for id := range r.asked {
		if r.again == nil {
			r.again = map[string]bool{}
		}
		r.again[id] = true
	}
	clear(r.asked)
}

// round asks everybody and tells whether there is to be another.
func (m *mutation) round(ctx context.Context, h *hooks) (again bool, err error) {
	for _, step := range []struct {
		name string
		ask  func(context.Context, *hooks) (bool, error)
		kind *reinvocation
	}{
		{"MutatingAdmissionPolicy", m.askPolicies, &m.policies},
		{"MutatingAdmissionWebhook", m.askWebhooks, &m.webhooks},
	} {
		begin := time.Now()
		changed, err := m.step(ctx, h, step.kind, step.ask)
		m.hooks.cfg.Metrics.Controller(step.name, stepAdmit, string(m.Operation), err != nil, time.Since(begin))
		if err != nil {
			return false, err
		}
		again = again || changed
	}
	return again, nil
}

// step asks the hooks of one kind. In the second round, those who were asked are asked again if the object is not as they
// left it.
func (m *mutation) step(ctx context.Context, h *hooks, kind *reinvocation, ask func(context.Context, *hooks) (bool, error)) (bool, error) {
	if m.second && len(kind.asked) > 0 {
		now, _, err := m.encoded(0)
		if err != nil {
			return false, statusOf(err)
		}
		if !bytes.Equal(now, kind.left) {
			kind.changed()
		}
	}
	changed, err := ask(ctx, h)
	if err == nil && !m.second && len(kind.asked) > 0 {
		if kind.left, _, err = m.encoded(0); err != nil {
			err = statusOf(err)
		}
	}
	return changed, err
}

// secondRound asks those again that want to be. There is no third.
func (m *mutation) secondRound(ctx context.Context, h *hooks) error {
	m.second = true
	m.forget() // the built-in controllers have been asked meanwhile
	_, err := m.round(ctx, h)
	return err
}
