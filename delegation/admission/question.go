package admission

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	kjson "sigs.k8s.io/json"
)

// This file is the wire between this server and a webhook: an AdmissionReview there and one back. Both versions of it have
// the same fields.

const reviewKind = "AdmissionReview"

// question is the review of a write in one form, in a version that the webhook understands.
func question(rv *review, form int, version string) (types.UID, []byte, error) {
	object, old, err := rv.encoded(form)
	if err != nil {
		return "", nil, err
	}
	_, shown, err := rv.evaluable(form)
	if err != nil {
		return "", nil, err
	}
	request := *shown
	request.UID = types.UID(uuid.NewString())
	request.Object, request.OldObject = runtime.RawExtension{Raw: object}, runtime.RawExtension{Raw: old}
	body, err := json.Marshal(&admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.GroupName + "/" + version, Kind: reviewKind},
		Request:  &request,
	})
	return request.UID, body, err
}

// answer reads what a webhook says to the question of uid, and refuses what cannot be an answer.
func answer(body []byte, w *webhook, uid types.UID) (*admissionv1.AdmissionResponse, error) {
	var said admissionv1.AdmissionReview
	if err := kjson.UnmarshalCaseSensitivePreserveInts(body, &said); err != nil {
		return nil, fmt.Errorf("it is not JSON as expected: %w", err)
	}
	r := said.Response
	if r == nil {
		return nil, errors.New("webhook response was absent")
	}
	if w.version != "v1" { // of old, little was asked for
		if w.mutating && len(r.Patch) > 0 {
			jsonPatch := admissionv1.PatchTypeJSONPatch
			r.PatchType = &jsonPatch
		}
		if !w.mutating {
			r.Patch, r.PatchType = nil, nil
		}
		return r, nil
	}
	if want := admissionv1.SchemeGroupVersion.WithKind(reviewKind); said.GroupVersionKind() != want {
		return nil, fmt.Errorf("expected webhook response of %v, got %v", want, said.GroupVersionKind())
	}
	if r.UID != uid {
		return nil, fmt.Errorf("expected response.uid=%q, got %q", uid, r.UID)
	}
	return r, checkPatch(r, w.mutating)
}

func checkPatch(r *admissionv1.AdmissionResponse, mutating bool) error {
	switch {
	case !mutating && len(r.Patch) > 0:
		return errors.New("validating webhook may not return response.patch")
	case !mutating && r.PatchType != nil:
		return errors.New("validating webhook may not return response.patchType")
	case len(r.Patch) > 0 && r.PatchType == nil:
		return errors.New("webhook returned response.patch but not response.patchType")
	case len(r.Patch) == 0 && r.PatchType != nil:
		return errors.New("webhook returned response.patchType but not response.patch")
	case r.PatchType != nil && *r.PatchType != admissionv1.PatchTypeJSONPatch:
		return fmt.Errorf("webhook returned invalid response.patchType of %q", *r.PatchType)
	}
	return nil
}
