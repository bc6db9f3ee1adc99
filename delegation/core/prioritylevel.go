package core

import (
	"context"
	"fmt"
	"math"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

const (
	defaultConcurrencyShares = 30
	defaultQueues            = 64
	defaultHandSize          = 8
	defaultQueueLength       = 50

	maxQueues = 10_000_000
	// maxShuffleBits bounds queues and handSize together: a hand is dealt from one 64-bit hash.
	maxShuffleBits = 60
)

func priorityLevelConfigurations() registry.Resource {
	strategy := declare.Rules[*flowcontrolv1.PriorityLevelConfiguration]{
		SetDefaults: defaultPriorityLevel,
		Create: func(_ context.Context, p *flowcontrolv1.PriorityLevelConfiguration) {
			p.Status = flowcontrolv1.PriorityLevelConfigurationStatus{}
		},
		Update:   func(_ context.Context, p, old *flowcontrolv1.PriorityLevelConfiguration) { p.Status = old.Status },
		Validate: validatePriorityLevel,
	}.Strategy()
	strategy.Generation = true
	strategy.AllowUnconditionalUpdate = true
	limited := flowcontrolv1.LimitedPriorityLevelConfiguration{}.SwaggerDoc()
	queuing := flowcontrolv1.QueuingConfiguration{}.SwaggerDoc()
	return registry.Resource{
		GroupVersion: flowcontrolv1.SchemeGroupVersion,
		Kind:         "PriorityLevelConfiguration",
		Name:         "prioritylevelconfigurations",
		SingularName: "prioritylevelconfiguration",
		New:          func() runtime.Object { return &flowcontrolv1.PriorityLevelConfiguration{} },
		NewList:      func() runtime.Object { return &flowcontrolv1.PriorityLevelConfigurationList{} },
		Strategy:     strategy,
		Status:       true,
		Table: declare.Table(priorityLevelCells, declare.NameColumn(),
			declare.Column("Type", flowcontrolv1.PriorityLevelConfigurationSpec{}.SwaggerDoc()["type"]),
			declare.Column("NominalConcurrencyShares", limited["nominalConcurrencyShares"]),
			declare.Column("Queues", queuing["queues"]),
			declare.Column("HandSize", queuing["handSize"]),
			declare.Column("QueueLengthLimit", queuing["queueLengthLimit"]),
			declare.AgeColumn()),
	}
}

func priorityLevelCells(p *flowcontrolv1.PriorityLevelConfiguration) []any {
	var shares, queues, hand, length any = declare.NoneCell, declare.NoneCell, declare.NoneCell, declare.NoneCell
	if limited := p.Spec.Limited; limited != nil {
		if limited.NominalConcurrencyShares != nil {
			shares = *limited.NominalConcurrencyShares
		}
		if q := limited.LimitResponse.Queuing; q != nil {
			queues, hand, length = q.Queues, q.HandSize, q.QueueLengthLimit
		}
	}
	return []any{p.Name, string(p.Spec.Type), shares, queues, hand, length, declare.Age(&p.ObjectMeta)}
}

func defaultPriorityLevel(p *flowcontrolv1.PriorityLevelConfiguration) {
	if exempt := p.Spec.Exempt; exempt != nil {
		declare.SetDefault(&exempt.NominalConcurrencyShares, 0)
		declare.SetDefault(&exempt.LendablePercent, 0)
	} else if p.Spec.Type == flowcontrolv1.PriorityLevelEnablementExempt {
		p.Spec.Exempt = &flowcontrolv1.ExemptPriorityLevelConfiguration{NominalConcurrencyShares: new(int32), LendablePercent: new(int32)}
	}
	limited := p.Spec.Limited
	if limited == nil {
		return
	}
	declare.SetDefault(&limited.NominalConcurrencyShares, defaultConcurrencyShares)
	declare.SetDefault(&limited.LendablePercent, 0)
	q := limited.LimitResponse.Queuing
	if q == nil {
		return
	}
	if q.Queues == 0 {
		q.Queues = defaultQueues
	}
	if q.HandSize == 0 {
		q.HandSize = defaultHandSize
	}
	if q.QueueLengthLimit == 0 {
		q.QueueLengthLimit = defaultQueueLength
	}
}

func validatePriorityLevel(p *flowcontrolv1.PriorityLevelConfiguration) field.ErrorList {
	spec := field.NewPath("spec")
	var errs field.ErrorList
	mandatory := p.Name == flowcontrolv1.PriorityLevelConfigurationNameExempt
	switch p.Spec.Type {
	case flowcontrolv1.PriorityLevelEnablementExempt:
		if !mandatory {
			errs = append(errs, field.Invalid(spec.Child("type"), p.Spec.Type, "only the priority level named 'exempt' may be of type Exempt"))
		}
		if p.Spec.Limited != nil {
			errs = append(errs, field.Forbidden(spec.Child("limited"), "must be nil if the type is not Limited"))
		}
		if exempt := p.Spec.Exempt; exempt != nil {
			errs = append(errs, validateShares(exempt.NominalConcurrencyShares, exempt.LendablePercent, spec.Child("exempt"))...)
		}
	case flowcontrolv1.PriorityLevelEnablementLimited:
		if mandatory {
			errs = append(errs, field.Invalid(spec.Child("type"), p.Spec.Type, "the priority level named 'exempt' must be of type Exempt"))
		}
		if p.Spec.Exempt != nil {
			errs = append(errs, field.Forbidden(spec.Child("exempt"), "must be nil if the type is Limited"))
		}
		if p.Spec.Limited == nil {
			errs = append(errs, field.Required(spec.Child("limited"), "must not be empty when type is Limited"))
		} else {
			errs = append(errs, validateLimited(p.Spec.Limited, spec.Child("limited"))...)
		}
	case "":
		errs = append(errs, field.Required(spec.Child("type"), ""))
	default:
		errs = append(errs, declare.OneOf(&p.Spec.Type, spec.Child("type"), flowcontrolv1.PriorityLevelEnablementExempt, flowcontrolv1.PriorityLevelEnablementLimited)...)
	}
	return errs
}

func validateShares(shares, lendable *int32, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if shares != nil && *shares < 0 {
		errs = append(errs, field.Invalid(path.Child("nominalConcurrencyShares"), *shares, "must be a non-negative integer"))
	}
	if lendable != nil && (*lendable < 0 || *lendable > 100) {
		errs = append(errs, field.Invalid(path.Child("lendablePercent"), *lendable, "must be between 0 and 100, inclusive"))
	}
	return errs
}

func validateLimited(l *flowcontrolv1.LimitedPriorityLevelConfiguration, path *field.Path) field.ErrorList {
	errs := validateShares(l.NominalConcurrencyShares, l.LendablePercent, path)
	if b := l.BorrowingLimitPercent; b != nil && *b < 0 {
		errs = append(errs, field.Invalid(path.Child("borrowingLimitPercent"), *b, "if specified, must be a non-negative integer"))
	}
	response := path.Child("limitResponse")
	switch l.LimitResponse.Type {
	case flowcontrolv1.LimitResponseTypeReject:
		if l.LimitResponse.Queuing != nil {
			errs = append(errs, field.Forbidden(response.Child("queuing"), "must be nil if limited.limitResponse.type is not Queue"))
		}
	case flowcontrolv1.LimitResponseTypeQueue:
		if l.LimitResponse.Queuing == nil {
			errs = append(errs, field.Required(response.Child("queuing"), "must not be empty if limited.limitResponse.type is Queue"))
		} else {
			errs = append(errs, validateQueuing(l.LimitResponse.Queuing, response.Child("queuing"))...)
		}
	case "":
		errs = append(errs, field.Required(response.Child("type"), ""))
	default:
		errs = append(errs, declare.OneOf(&l.LimitResponse.Type, response.Child("type"), flowcontrolv1.LimitResponseTypeReject, flowcontrolv1.LimitResponseTypeQueue)...)
	}
	return errs
}

func validateQueuing(q *flowcontrolv1.QueuingConfiguration, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if q.QueueLengthLimit <= 0 {
		errs = append(errs, field.Invalid(path.Child("queueLengthLimit"), q.QueueLengthLimit, "must be positive"))
	}
	if q.Queues <= 0 || q.Queues > maxQueues {
		errs = append(errs, field.Invalid(path.Child("queues"), q.Queues, fmt.Sprintf("must be between 1 and %d", maxQueues)))
	}
	if q.HandSize <= 0 {
		errs = append(errs, field.Invalid(path.Child("handSize"), q.HandSize, "must be positive"))
	}
	if len(errs) > 0 {
		return errs
	}
	if q.HandSize > q.Queues {
		return append(errs, field.Invalid(path.Child("handSize"), q.HandSize, fmt.Sprintf("should not be greater than queues (%d)", q.Queues)))
	}
	if bits := entropyBits(q.Queues, q.HandSize); bits > maxShuffleBits {
		errs = append(errs, field.Invalid(path.Child("handSize"), q.HandSize,
			fmt.Sprintf("required entropy bits of queues %d and handSize %d should not be greater than %d", q.Queues, q.HandSize, maxShuffleBits)))
	}
	return errs
}

// entropyBits is how many bits of a hash it takes to deal hand cards out of a deck.
func entropyBits(deck, hand int32) int {
	bits := 0.0
	for i := range hand {
		bits += math.Log2(float64(deck - i))
		if bits > maxShuffleBits {
			break
		}
	}
	return int(math.Ceil(bits))
}
