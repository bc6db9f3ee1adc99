package core

import (
	"bytes"
	"encoding/json"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

func secrets() registry.Resource {
	strategy := declare.Rules[*corev1.Secret]{
		SetDefaults:    defaultSecret,
		Validate:       validateSecret,
		ValidateUpdate: validateSecretUpdate,
	}.Strategy()
	strategy.AllowUnconditionalUpdate = true
	strategy.FieldNames = []string{"type"}
	strategy.Fields = secretFields
	return registry.Resource{
		GroupVersion: corev1.SchemeGroupVersion,
		Kind:         "Secret",
		Name:         "secrets",
		SingularName: "secret",
		Namespaced:   true,
		New:          func() runtime.Object { return &corev1.Secret{} },
		NewList:      func() runtime.Object { return &corev1.SecretList{} },
		Strategy:     strategy,
		Table: declare.Table(func(s *corev1.Secret) []any {
			return []any{s.Name, string(s.Type), int64(len(s.Data)), declare.Age(&s.ObjectMeta)}
		}, declare.NameColumn(), declare.Column("Type", corev1.Secret{}.SwaggerDoc()["type"]),
			declare.Column("Data", corev1.Secret{}.SwaggerDoc()["data"]), declare.AgeColumn()),
	}
}

// defaultSecret also moves stringData into data: it is for writing only and is never stored.
func defaultSecret(s *corev1.Secret) {
	if s.Type == "" {
		s.Type = corev1.SecretTypeOpaque
	}
	if len(s.StringData) > 0 && s.Data == nil {
		s.Data = make(map[string][]byte, len(s.StringData))
	}
	for key, value := range s.StringData {
		s.Data[key] = []byte(value)
	}
	s.StringData = nil
}

func secretFields(object []byte) fields.Set {
	var secret struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(object, &secret); err != nil {
		return nil
	}
	return fields.Set{"type": secret.Type}
}

func validateSecret(s *corev1.Secret) field.ErrorList {
	var errs field.ErrorList
	data := field.NewPath("data")
	size := 0
	for key, value := range s.Data {
		errs = append(errs, validateDataKey(key, data.Key(key))...)
		size += len(value)
	}
	if size > maxDataBytes {
		errs = append(errs, field.TooLong(data, "", maxDataBytes))
	}
	return append(errs, validateSecretType(s)...)
}

// validateSecretType holds what each well-known type promises to its readers.
func validateSecretType(s *corev1.Secret) field.ErrorList {
	data := field.NewPath("data")
	var errs field.ErrorList
	required := func(keys ...string) {
		for _, key := range keys {
			if _, ok := s.Data[key]; !ok {
				errs = append(errs, field.Required(data.Key(key), ""))
			}
		}
	}
	dockerConfig := func(key string) {
		required(key)
		if value, ok := s.Data[key]; ok && !isJSONObject(value) {
			errs = append(errs, field.Invalid(data.Key(key), "<secret contents redacted>", "must be a JSON object"))
		}
	}
	switch s.Type {
	case corev1.SecretTypeServiceAccountToken:
		if s.Annotations[corev1.ServiceAccountNameKey] == "" {
			errs = append(errs, field.Required(field.NewPath("metadata", "annotations").Key(corev1.ServiceAccountNameKey), ""))
		}
	case corev1.SecretTypeDockercfg:
		dockerConfig(corev1.DockerConfigKey)
	case corev1.SecretTypeDockerConfigJson:
		dockerConfig(corev1.DockerConfigJsonKey)
	case corev1.SecretTypeBasicAuth:
		_, user := s.Data[corev1.BasicAuthUsernameKey]
		_, password := s.Data[corev1.BasicAuthPasswordKey]
		if !user && !password {
			required(corev1.BasicAuthUsernameKey, corev1.BasicAuthPasswordKey)
		}
	case corev1.SecretTypeSSHAuth:
		if len(s.Data[corev1.SSHAuthPrivateKey]) == 0 {
			errs = append(errs, field.Required(data.Key(corev1.SSHAuthPrivateKey), ""))
		}
	case corev1.SecretTypeTLS:
		required(corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	}
	return errs
}

func isJSONObject(data []byte) bool {
	var object map[string]json.RawMessage
	return json.Unmarshal(data, &object) == nil && object != nil
}

func validateSecretUpdate(s, old *corev1.Secret) field.ErrorList {
	errs := apivalidation.ValidateImmutableField(s.Type, old.Type, field.NewPath("type"))
	if old.Immutable == nil || !*old.Immutable {
		return errs
	}
	errs = append(errs, validateStillImmutable(s.Immutable)...)
	if !maps.EqualFunc(s.Data, old.Data, bytes.Equal) {
		errs = append(errs, field.Forbidden(field.NewPath("data"), frozenData))
	}
	return errs
}
