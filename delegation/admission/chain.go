package admission

import (
	"context"
	"time"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/metrics"
)

// Link is one admission controller, by the name that its metrics carry.
type Link struct {
	Name string
	registry.Admission
}

// Chain asks everybody about a write, in order.
type Chain struct {
	hooks   *Hooks
	metrics *metrics.Admission
	first   []Link // before hooks
	last    []Link // after them: what another refuses is not charged
}

// NewChain returns a chain around hooks.
func NewChain(hooks *Hooks, m *metrics.Admission, first, last []Link) *Chain {
	return &Chain{hooks: hooks, metrics: m, first: first, last: last}
}

const (
	stepAdmit    = "admit"
	stepValidate = "validate"
)

// Admit has everybody change the write, and those who were there before a change once more.
func (c *Chain) Admit(ctx context.Context, r *registry.Request) error {
	begin := time.Now()
	err := c.admit(ctx, r, begin)
	c.metrics.Step(stepAdmit, string(r.Operation), err != nil, time.Since(begin))
	return err
}

func (c *Chain) admit(ctx context.Context, r *registry.Request, begin time.Time) error {
	if err := c.ask(ctx, r, stepAdmit, begin, c.first); err != nil {
		return err
	}
	hooks := c.hooks.current()
	if hooks.mutate() && !isExempt(r) {
		mutation := newMutation(newReview(ctx, c.hooks, r))
		again, err := mutation.round(ctx, hooks)
		if err != nil {
			return err
		}
		if again {
			if err := c.ask(ctx, r, stepAdmit, time.Now(), c.first); err != nil {
				return err
			}
			if err := mutation.secondRound(ctx, hooks); err != nil {
				return err
			}
		}
	}
	return c.ask(ctx, r, stepAdmit, time.Now(), c.last)
}

// Validate asks everybody whether they refuse the write as it has become.
func (c *Chain) Validate(ctx context.Context, r *registry.Request) error {
	begin := time.Now()
	err := c.validate(ctx, r, begin)
	c.metrics.Step(stepValidate, string(r.Operation), err != nil, time.Since(begin))
	return err
}

func (c *Chain) validate(ctx context.Context, r *registry.Request, begin time.Time) error {
	if err := c.ask(ctx, r, stepValidate, begin, c.first); err != nil {
		return err
	}
	if hooks := c.hooks.current(); hooks.validate() && !isExempt(r) {
		rv := newReview(ctx, c.hooks, r)
		for _, step := range []struct {
			name string
			ask  func(context.Context, *review) error
		}{
			{"ValidatingAdmissionPolicy", hooks.validatePolicies},
			{"ValidatingAdmissionWebhook", hooks.validateWebhooks},
		} {
			begin := time.Now()
			err := step.ask(ctx, rv)
			c.metrics.Controller(step.name, stepValidate, string(r.Operation), err != nil, time.Since(begin))
			if err != nil {
				return err
			}
		}
	}
	return c.ask(ctx, r, stepValidate, time.Now(), c.last)
}

// ask asks links one after another; begin is now.
func (c *Chain) ask(ctx context.Context, r *registry.Request, step string, begin time.Time, links []Link) error {
	for _, link := range links {
		question := link.Admit
		if step == stepValidate {
			question = link.Validate
		}
		err := question(ctx, r)
		end := time.Now()
		c.metrics.Controller(link.Name, step, string(r.Operation), err != nil, end.Sub(begin))
		if err != nil {
			return err
		}
		begin = end
	}
	return nil
}

// isExempt tells whether a write is none of hooks' business: who could keep others from changing hooks could not be got
// rid of any more.
func isExempt(r *registry.Request) bool { return r.Resource.Group == "admissionregistration.k8s.io" }
