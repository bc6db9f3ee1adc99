package certificates

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
	"github.com/portico-api/portico/handler"
)

type csr = certificatesv1.CertificateSigningRequest

// Requests declares certificatesigningrequests. What is asked for never changes; the verdict comes in by the subresource
// approval, and the certificate by status.
func Requests() registry.Resource {
	strategy := declare.Rules[*csr]{
		Create:         create,
		Update:         update,
		UpdateStatus:   updateStatus,
		Validate:       validate,
		ValidateUpdate: func(r, old *csr) errs { return validateConditionsUpdate(r, old) },
		ValidateStatus: validateStatusUpdate,
	}.Strategy()
	strategy.AllowUnconditionalUpdate = true
	strategy.FieldNames = []string{"spec.signerName"}
	strategy.Fields = signerField
	return registry.Resource{
		GroupVersion: certificatesv1.SchemeGroupVersion,
		Kind:         "CertificateSigningRequest",
		Name:         "certificatesigningrequests",
		SingularName: "certificatesigningrequest",
		ShortNames:   []string{"csr"},
		New:          func() runtime.Object { return &csr{} },
		NewList:      func() runtime.Object { return &certificatesv1.CertificateSigningRequestList{} },
		Strategy:     strategy,
		Status:       true,
		Table: declare.Table(func(r *csr) []any {
			return []any{r.Name, declare.Age(&r.ObjectMeta), r.Spec.SignerName, r.Spec.Username, durationCell(r), conditionCell(r)}
		}, declare.NameColumn(), declare.AgeColumn(), declare.Column("SignerName", certificatesv1.CertificateSigningRequestSpec{}.SwaggerDoc()["signerName"]),
			declare.Column("Requestor", "Who asks for the certificate."), declare.Column("RequestedDuration", "How long the certificate is wanted for."),
			declare.Column("Condition", "What has become of the request.")),
	}
}

// Approval is how a verdict comes in: conditions, and nothing else.
func Approval() registry.Subresource {
	return registry.Subresource{
		Name: "approval",
		Prepare: func(_ context.Context, obj, old runtime.Object) {
			r, was := obj.(*csr), old.(*csr)
			conditions, managed := r.Status.Conditions, r.ManagedFields
			was.DeepCopyInto(r)
			r.Status.Conditions, r.ManagedFields = conditions, managed
			stamp(r, was)
		},
		Validate: func(_ context.Context, obj, old runtime.Object) errs {
			return validateConditionsUpdate(obj.(*csr), old.(*csr))
		},
		Readable: true,
	}
}

// create notes who asks: a client does not decide who it is.
func create(ctx context.Context, r *csr) {
	r.Status = certificatesv1.CertificateSigningRequestStatus{}
	r.Spec.Username, r.Spec.UID, r.Spec.Groups, r.Spec.Extra = "", "", nil, nil
	request, ok := handler.RequestFrom(ctx)
	if !ok || request.User == nil {
		return
	}
	u := request.User
	r.Spec.Username, r.Spec.UID, r.Spec.Groups = u.GetName(), u.GetUID(), u.GetGroups()
	for key, values := range u.GetExtra() {
		if r.Spec.Extra == nil {
			r.Spec.Extra = map[string]certificatesv1.ExtraValue{}
		}
		r.Spec.Extra[key] = values
	}
}

func update(_ context.Context, r, old *csr) {
	r.Spec, r.Status = old.Spec, old.Status
}

// updateStatus lets everything through but verdicts: these stay as they are.
func updateStatus(_ context.Context, r, old *csr) {
	status, managed := r.Status, r.ManagedFields
	old.DeepCopyInto(r)
	r.ManagedFields = managed
	r.Status.Certificate = status.Certificate
	kept := r.Status.Conditions[:0]
	for _, c := range old.Status.Conditions {
		if isVerdict(c.Type) {
			kept = append(kept, c)
		}
	}
	for _, c := range status.Conditions {
		if !isVerdict(c.Type) {
			kept = append(kept, c)
		}
	}
	r.Status.Conditions = kept
	stamp(r, old)
}

func isVerdict(t certificatesv1.RequestConditionType) bool {
	return t == certificatesv1.CertificateApproved || t == certificatesv1.CertificateDenied
}

// stamp notes when conditions were written, and when they became what they are.
func stamp(r, old *csr) {
	now := metav1.Now().Rfc3339Copy()
	for i := range r.Status.Conditions {
		c := &r.Status.Conditions[i]
		was := condition(old, c.Type)
		if c.LastUpdateTime.IsZero() {
			c.LastUpdateTime = now
		}
		switch {
		case !c.LastTransitionTime.IsZero():
		case was != nil && was.Status == c.Status && !was.LastTransitionTime.IsZero():
			c.LastTransitionTime = was.LastTransitionTime
		default:
			c.LastTransitionTime = now
		}
	}
}

// condition is the condition of a type; nil when there is none.
func condition(r *csr, t certificatesv1.RequestConditionType) *certificatesv1.CertificateSigningRequestCondition {
	for i := range r.Status.Conditions {
		if r.Status.Conditions[i].Type == t {
			return &r.Status.Conditions[i]
		}
	}
	return nil
}

func is(r *csr, t certificatesv1.RequestConditionType) bool {
	c := condition(r, t)
	return c != nil && c.Status == corev1.ConditionTrue
}

func signerField(object []byte) fields.Set {
	var stored struct {
		Spec struct {
			SignerName string `json:"signerName"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(object, &stored); err != nil {
		return nil
	}
	return fields.Set{"spec.signerName": stored.Spec.SignerName}
}

func durationCell(r *csr) string {
	if r.Spec.ExpirationSeconds == nil {
		return declare.NoneCell
	}
	return duration.HumanDuration(time.Duration(*r.Spec.ExpirationSeconds) * time.Second)
}

func conditionCell(r *csr) string {
	var words []string
	for _, known := range []certificatesv1.RequestConditionType{certificatesv1.CertificateApproved, certificatesv1.CertificateDenied, certificatesv1.CertificateFailed} {
		if condition(r, known) != nil {
			words = append(words, string(known))
		}
	}
	if len(words) == 0 {
		words = append(words, "Pending")
	}
	if len(r.Status.Certificate) > 0 {
		words = append(words, "Issued")
	}
	return strings.Join(words, ",")
}
