package aggregator

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// The reasons of the available condition that do not come from resolving the service (contract 5.2).
const (
	reasonLocal                = "Local"
	reasonPassed               = "Passed"
	reasonFailedDiscoveryCheck = "FailedDiscoveryCheck"
)

// verdict is what one check of an APIService found: its available condition without the time.
type verdict struct {
	status  apiregistrationv1.ConditionStatus
	reason  string
	message string
}

func localVerdict() verdict {
	return verdict{apiregistrationv1.ConditionTrue, reasonLocal, "Local APIServices are always available"}
}

func passedVerdict() verdict {
	return verdict{apiregistrationv1.ConditionTrue, reasonPassed, "all checks passed"}
}

func failedVerdict(err error) verdict {
	return verdict{apiregistrationv1.ConditionFalse, reasonFailedDiscoveryCheck, err.Error()}
}

func (v verdict) available() bool { return v.status == apiregistrationv1.ConditionTrue }

// matches tells whether s says the same already, so that nothing need be written.
func (v verdict) matches(s *apiregistrationv1.APIService) bool {
	c := availableCondition(s)
	return c != nil && c.Status == v.status && c.Reason == v.reason && c.Message == v.message
}

func availableCondition(s *apiregistrationv1.APIService) *apiregistrationv1.APIServiceCondition {
	for i := range s.Status.Conditions {
		if s.Status.Conditions[i].Type == apiregistrationv1.Available {
			return &s.Status.Conditions[i]
		}
	}
	return nil
}

// setCondition puts v into status. The transition time moves only when the condition's status does.
func setCondition(status *apiregistrationv1.APIServiceStatus, v verdict, now time.Time) {
	next := apiregistrationv1.APIServiceCondition{
		Type:               apiregistrationv1.Available,
		Status:             v.status,
		LastTransitionTime: metav1.NewTime(now),
		Reason:             v.reason,
		Message:            v.message,
	}
	i := slices.IndexFunc(status.Conditions, func(c apiregistrationv1.APIServiceCondition) bool {
		return c.Type == apiregistrationv1.Available
	})
	if i < 0 {
		status.Conditions = append(status.Conditions, next)
		return
	}
	if status.Conditions[i].Status == v.status {
		next.LastTransitionTime = status.Conditions[i].LastTransitionTime
	}
	status.Conditions[i] = next
}
