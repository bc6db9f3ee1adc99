package core

import (
	"bytes"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

// maxDataBytes bounds the payload of one config map or secret.
const maxDataBytes = 1 << 20

func configMaps() registry.Resource {
	strategy := declare.Rules[*corev1.ConfigMap]{
		Validate:       validateConfigMap,
		ValidateUpdate: validateConfigMapUpdate,
	}.Strategy()
	strategy.AllowUnconditionalUpdate = true
	return registry.Resource{
		GroupVersion: corev1.SchemeGroupVersion,
		Kind:         "ConfigMap",
		Name:         "configmaps",
		SingularName: "configmap",
		ShortNames:   []string{"cm"},
		Namespaced:   true,
		New:          func() runtime.Object { return &corev1.ConfigMap{} },
		NewList:      func() runtime.Object { return &corev1.ConfigMapList{} },
		Strategy:     strategy,
		Table: declare.Table(func(cm *corev1.ConfigMap) []any {
			return []any{cm.Name, int64(len(cm.Data) + len(cm.BinaryData)), declare.Age(&cm.ObjectMeta)}
		}, declare.NameColumn(), declare.Column("Data", corev1.ConfigMap{}.SwaggerDoc()["data"]), declare.AgeColumn()),
	}
}

func validateConfigMap(cm *corev1.ConfigMap) field.ErrorList {
	var errs field.ErrorList
	size := 0
	for key, value := range cm.Data {
		errs = append(errs, validateDataKey(key, field.NewPath("data").Key(key))...)
		if _, twice := cm.BinaryData[key]; twice {
			errs = append(errs, field.Invalid(field.NewPath("data").Key(key), key, "duplicate of key present in binaryData"))
		}
		size += len(value)
	}
	for key, value := range cm.BinaryData {
		errs = append(errs, validateDataKey(key, field.NewPath("binaryData").Key(key))...)
		size += len(value)
	}
	if size > maxDataBytes {
		errs = append(errs, field.TooLong(field.NewPath("data"), "", maxDataBytes))
	}
	return errs
}

func validateConfigMapUpdate(cm, old *corev1.ConfigMap) field.ErrorList {
	if old.Immutable == nil || !*old.Immutable {
		return nil
	}
	errs := validateStillImmutable(cm.Immutable)
	if !maps.Equal(cm.Data, old.Data) {
		errs = append(errs, field.Forbidden(field.NewPath("data"), frozenData))
	}
	if !maps.EqualFunc(cm.BinaryData, old.BinaryData, bytes.Equal) {
		errs = append(errs, field.Forbidden(field.NewPath("binaryData"), frozenData))
	}
	return errs
}

// frozenData is what a client reads that changes an immutable config map or secret.
const frozenData = "field is immutable when `immutable` is set"

func validateStillImmutable(immutable *bool) field.ErrorList {
	if immutable == nil || !*immutable {
		return field.ErrorList{field.Forbidden(field.NewPath("immutable"), frozenData)}
	}
	return nil
}

func validateDataKey(key string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, message := range validation.IsConfigMapKey(key) {
		errs = append(errs, field.Invalid(path, key, message))
	}
	return errs
}
