package declare

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// SetDefault sets what is left out.
func SetDefault[T any](value **T, preset T) {
	if *value == nil {
		*value = &preset
	}
}

// OneOf checks a value with a known set of values; what is nil has been defaulted or may be left out.
func OneOf[T ~string](value *T, path *field.Path, known ...T) field.ErrorList {
	if value == nil || slices.Contains(known, *value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, *value, known)}
}

// Invalid makes one field error of each message.
func Invalid(messages []string, path *field.Path, value any) field.ErrorList {
	var errs field.ErrorList
	for _, message := range messages {
		errs = append(errs, field.Invalid(path, value, message))
	}
	return errs
}
