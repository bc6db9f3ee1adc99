package core

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/portico-api/portico/handler/rest"
)

// table declares how kubectl get shows a kind. Cells come in the order of the columns.
func table[T runtime.Object](cells func(T) []any, columns ...metav1.TableColumnDefinition) *rest.Table {
	return &rest.Table{
		Columns: columns,
		Cells:   func(obj runtime.Object) []any { return cells(obj.(T)) },
	}
}

func nameColumn() metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: "Name", Type: "string", Format: "name", Description: metav1.ObjectMeta{}.SwaggerDoc()["name"]}
}

func ageColumn() metav1.TableColumnDefinition {
	return column("Age", metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"])
}

func column(name, description string) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: name, Type: "string", Description: description}
}

func integerColumn(name, description string) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: name, Type: "integer", Description: description}
}

// wide makes a column that is shown by -o wide only.
func wide(c metav1.TableColumnDefinition) metav1.TableColumnDefinition {
	c.Priority = 1
	return c
}

const (
	unknownCell = "<unknown>"
	noneCell    = "<none>"
	unsetCell   = "<unset>"
)

// since is a time as kubectl users read it: how long ago.
func since(t time.Time) string {
	if t.IsZero() {
		return unknownCell
	}
	return duration.HumanDuration(time.Since(t))
}

func age(m *metav1.ObjectMeta) string { return since(m.CreationTimestamp.Time) }
