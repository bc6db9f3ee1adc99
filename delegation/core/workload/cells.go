package workload

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/portico-api/portico/delegation/registry/declare"
)

// all is the category of what kubectl get all shows.
func all() []string { return []string{"all"} }

func orNone(text string) string {
	if text == "" {
		return declare.NoneCell
	}
	return text
}

func joinOr[T ~string](empty string, values []T) string {
	if len(values) == 0 {
		return empty
	}
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = string(value)
	}
	return strings.Join(texts, ",")
}

func valueOf[T any](value *T) T {
	var none T
	if value == nil {
		return none
	}
	return *value
}

func selectorCell(s *metav1.LabelSelector) string {
	if s == nil {
		return declare.NoneCell
	}
	return orNone(metav1.FormatLabelSelector(s))
}

func plainSelectorCell(set map[string]string) string { return orNone(labels.FormatLabels(set)) }

// containersAndImages are two cells.
func containersAndImages(s *corev1.PodSpec) (names, images string) {
	var n, i []string
	for _, c := range s.Containers {
		n, i = append(n, c.Name), append(i, c.Image)
	}
	return strings.Join(n, ","), strings.Join(i, ",")
}

// podSetColumns are the wide columns of what makes pods of a template.
func podSetColumns() []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{
		declare.Wide(declare.Column("Containers", "Names of each container in the template.")),
		declare.Wide(declare.Column("Images", "Images referenced by each container in the template.")),
	}
}

func selectorColumn() metav1.TableColumnDefinition {
	return declare.Wide(declare.Column("Selector", "Which pods are meant."))
}

func nameThen(columns ...metav1.TableColumnDefinition) []metav1.TableColumnDefinition {
	return append([]metav1.TableColumnDefinition{declare.NameColumn()}, columns...)
}

var accessModeNames = map[corev1.PersistentVolumeAccessMode]string{
	corev1.ReadWriteOnce: "RWO", corev1.ReadOnlyMany: "ROX", corev1.ReadWriteMany: "RWX", corev1.ReadWriteOncePod: "RWOP",
}

func accessModesCell(modes []corev1.PersistentVolumeAccessMode) string {
	var short []string
	for _, mode := range modes {
		if name := accessModeNames[mode]; !slices.Contains(short, name) {
			short = append(short, name)
		}
	}
	return strings.Join(short, ",")
}

func outOf(n, of int32) string { return fmt.Sprintf("%d/%d", n, of) }
