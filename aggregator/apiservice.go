package aggregator

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/validation/path"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	apiservicevalidation "k8s.io/kube-aggregator/pkg/apis/apiregistration/validation"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

// AddToScheme adds the types of apiregistration.k8s.io/v1, which the unit serves.
func AddToScheme(scheme *runtime.Scheme) error {
	return apiregistrationv1.AddToScheme(scheme)
}

// apiServices declares the APIService resource (contract 5.1). now tells the time of conditions and ages.
func apiServices(now func() time.Time) registry.Resource {
	return registry.Resource{
		GroupVersion: apiregistrationv1.SchemeGroupVersion,
		Kind:         "APIService",
		Name:         "apiservices",
		SingularName: "apiservice",
		Categories:   []string{"api-extensions"},
		Path:         "apiregistration.k8s.io/apiservices",
		New:          func() runtime.Object { return &apiregistrationv1.APIService{} },
		NewList:      func() runtime.Object { return &apiregistrationv1.APIServiceList{} },
		Strategy:     apiServiceStrategy(now),
		Status:       true,
		Table:        apiServiceTable(now),
	}
}

func apiServiceStrategy(now func() time.Time) registry.Strategy {
	return registry.Strategy{
		Default: func(obj runtime.Object) {
			apiregistrationv1.SetObjectDefaults_APIService(obj.(*apiregistrationv1.APIService))
		},
		PrepareForCreate: func(_ context.Context, obj runtime.Object) {
			s := obj.(*apiregistrationv1.APIService)
			s.Status = apiregistrationv1.APIServiceStatus{}
			if isLocal(s) {
				setCondition(&s.Status, localVerdict(), now())
			}
		},
		PrepareForUpdate: func(_ context.Context, obj, old runtime.Object) {
			obj.(*apiregistrationv1.APIService).Status = old.(*apiregistrationv1.APIService).Status
		},
		Validate: func(_ context.Context, obj runtime.Object) field.ErrorList {
			return validateAPIService(obj.(*apiregistrationv1.APIService))
		},
		ValidateStatusUpdate: func(_ context.Context, obj, _ runtime.Object) field.ErrorList {
			return validateAPIServiceStatus(obj.(*apiregistrationv1.APIService))
		},
		// "v1." is no DNS name; which name it must be is checked against the spec.
		ValidateName: path.ValidatePathSegmentName,
	}
}

// validateAPIService leaves the metadata to the registry, but for the name, which the spec decides.
func validateAPIService(s *apiregistrationv1.APIService) field.ErrorList {
	internal, err := toInternal(s)
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	internal.ObjectMeta = metav1.ObjectMeta{Name: s.Name}
	return apiservicevalidation.ValidateAPIService(internal)
}

func validateAPIServiceStatus(s *apiregistrationv1.APIService) field.ErrorList {
	internal, err := toInternal(s)
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	return apiservicevalidation.ValidateAPIServiceStatus(&internal.Status, field.NewPath("status"))
}

// toInternal copies s first, because the conversion shares memory with its source.
func toInternal(s *apiregistrationv1.APIService) (*apiregistration.APIService, error) {
	internal := &apiregistration.APIService{}
	if err := apiregistrationv1.Convert_v1_APIService_To_apiregistration_APIService(s.DeepCopy(), internal, nil); err != nil {
		return nil, fmt.Errorf("converting APIService %s: %w", s.Name, err)
	}
	return internal, nil
}

func apiServiceTable(now func() time.Time) *rest.Table {
	metadata := metav1.ObjectMeta{}.SwaggerDoc()
	return &rest.Table{
		Columns: []metav1.TableColumnDefinition{
			{Name: "Name", Type: "string", Format: "name", Description: metadata["name"]},
			{Name: "Service", Type: "string", Description: "The service that answers for this group and version; Local is this server."},
			{Name: "Available", Type: "string", Description: "Whether requests are sent to the service now, and the reason if not."},
			{Name: "Age", Type: "string", Description: metadata["creationTimestamp"]},
		},
		Cells: func(obj runtime.Object) []any {
			s := obj.(*apiregistrationv1.APIService)
			return []any{s.Name, serviceCell(s), availableCell(s), ageCell(s, now())}
		},
	}
}

func serviceCell(s *apiregistrationv1.APIService) string {
	if isLocal(s) {
		return "Local"
	}
	return s.Spec.Service.Namespace + "/" + s.Spec.Service.Name
}

func availableCell(s *apiregistrationv1.APIService) string {
	c := availableCondition(s)
	switch {
	case c == nil:
		return string(apiregistrationv1.ConditionUnknown)
	case c.Status == apiregistrationv1.ConditionTrue || c.Reason == "":
		return string(c.Status)
	default:
		return fmt.Sprintf("%s (%s)", c.Status, c.Reason)
	}
}

func ageCell(s *apiregistrationv1.APIService, now time.Time) string {
	if s.CreationTimestamp.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(now.Sub(s.CreationTimestamp.Time))
}

// isLocal tells whether this server answers for s itself.
func isLocal(s *apiregistrationv1.APIService) bool { return s.Spec.Service == nil }

func groupVersionOf(s *apiregistrationv1.APIService) schema.GroupVersion {
	return schema.GroupVersion{Group: s.Spec.Group, Version: s.Spec.Version}
}
