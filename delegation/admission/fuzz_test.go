package admission_test

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/delegation/admission"
)

// Whatever a webhook answers, it is an answer or an error, and what it makes of the object is one of its kind.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"u","allowed":true}}`,
		`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"u","allowed":true,"patchType":"JSONPatch","patch":"W3sib3AiOiJhZGQiLCJwYXRoIjoiL2RhdGEiLCJ2YWx1ZSI6eyJhIjoiYiJ9fV0="}}`,
		`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"u","allowed":true,"patchType":"JSONPatch","patch":"W3sib3AiOiJyZXBsYWNlIiwicGF0aCI6IiIsInZhbHVlIjpudWxsfV0="}}`,
		`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"u","allowed":false,"status":{"code":99,"reason":"R"}}}`,
		`{"response":{"allowed":true,"warnings":["\n"],"auditAnnotations":{"":""}}}`,
		`{"response":null}`, `[]`, `null`, ``, `{"response":{"patch":"!"}}`,
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, v1 bool) {
		stored := &corev1.ConfigMap{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: metav1.ObjectMeta{Name: "x", Namespace: "ns"}, Data: map[string]string{"k": "v"},
		}
		changed, err := admission.Answered(t.Context(), stored, body, v1)
		if err != nil {
			return
		}
		if _, err := json.Marshal(changed); err != nil || changed.Kind != "ConfigMap" || changed.APIVersion != "v1" {
			t.Errorf("%s makes %+v: %v", body, changed, err)
		}
	})
}
