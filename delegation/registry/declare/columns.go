package declare

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/portico-api/portico/handler/rest"
)

// Table declares how kubectl get shows a kind. Cells come in the order of the columns.
func Table[T runtime.Object](cells func(T) []any, columns ...metav1.TableColumnDefinition) *rest.Table {
	return &rest.Table{
		Columns: columns,
		Cells:   func(obj runtime.Object) []any { return cells(obj.(T)) },
	}
}

func NameColumn() metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: "Name", Type: "string", Format: "name", Description: metav1.ObjectMeta{}.SwaggerDoc()["name"]}
}

func AgeColumn() metav1.TableColumnDefinition {
	return Column("Age", metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"])
}

func Column(name, description string) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: name, Type: "string", Description: description}
}

func IntegerColumn(name, description string) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: name, Type: "integer", Description: description}
}

// Wide makes a column that is shown by -o wide only.
func Wide(c metav1.TableColumnDefinition) metav1.TableColumnDefinition {
	c.Priority = 1
	return c
}

const (
	UnknownCell = "<unknown>"
	NoneCell    = "<none>"
	UnsetCell   = "<unset>"
)

// Since is a time as kubectl users read it: how long ago.
func Since(t time.Time) string {
	if t.IsZero() {
		return UnknownCell
	}
	return duration.HumanDuration(time.Since(t))
}

func Age(m *metav1.ObjectMeta) string { return Since(m.CreationTimestamp.Time) }
