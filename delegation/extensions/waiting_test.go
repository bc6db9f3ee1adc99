package extensions

import (
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

func TestADefinitionWaitsOnceItIsSaidWhy(t *testing.T) {
	for reason, want := range map[string]bool{
		"": false, "InstanceDeletionPending": false, "InstanceDeletionInProgress": false, "InstanceDeletionCheck": true, "InstanceDeletionFailed": true,
	} {
		d := &definition{}
		if reason != "" {
			d.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.Terminating, Status: apiextensionsv1.ConditionTrue, Reason: reason}}
		}
		if got := isWaiting(d); got != want {
			t.Errorf("%q: got %v", reason, got)
		}
	}
}
