package core_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/delegation/core"
)

func TestAFinalizerIsKnownOrHasADomain(t *testing.T) {
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Finalizers: []string{"kubernetes", "orphan", "foregroundDeletion", "example.com/mine", "bad"}}}
	problems := core.ValidateFinalizerNames(m)
	if len(problems) != 1 || problems[0].Field != "metadata.finalizers[4]" {
		t.Errorf("got %v, want one about metadata.finalizers[4]", problems)
	}
}
