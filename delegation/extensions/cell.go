package extensions

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/jsonpath"

	"github.com/portico-api/portico/handler/rest"
)

// cell is one column of a table: what a path finds, as its type is shown.
type cell struct {
	path *jsonpath.JSONPath // nil for one that cannot be read, which validation lets nobody store
	typ  string
}

func newCell(c apiextensionsv1.CustomResourceColumnDefinition) cell {
	path := jsonpath.New(c.Name).AllowMissingKeys(true)
	if err := path.Parse("{" + c.JSONPath + "}"); err != nil {
		return cell{}
	}
	return cell{path, c.Type}
}

// of is the cell of an object; nil where there is nothing, or nothing of the column's type.
func (c cell) of(object map[string]any) any {
	if c.path == nil {
		return nil
	}
	found, err := c.path.FindResults(object)
	if err != nil || len(found) == 0 || len(found[0]) == 0 {
		return nil
	}
	value := found[0][0].Interface()
	switch c.typ {
	case "integer":
		switch n := value.(type) {
		case int64:
			return n
		case float64:
			if n == math.Trunc(n) {
				return int64(n)
			}
		}
	case "number":
		switch n := value.(type) {
		case int64:
			return float64(n)
		case float64:
			return n
		}
	case "boolean":
		if b, ok := value.(bool); ok {
			return b
		}
	case "date":
		return date(value)
	case "string":
		return c.text(found[0])
	}
	return nil
}

// text is what is found as text: one value as it is, what has parts as JSON, and several values one after another.
func (c cell) text(found []reflect.Value) any {
	if text, ok := found[0].Interface().(string); ok && len(found) == 1 {
		return text
	}
	var out bytes.Buffer
	for i, value := range found {
		if i > 0 {
			out.WriteByte(' ')
		}
		switch v := value.Interface().(type) {
		case nil:
			return nil
		case map[string]any, []any:
			body, err := json.Marshal(v)
			if err != nil {
				return nil
			}
			out.Write(body)
		default:
			fmt.Fprint(&out, v)
		}
	}
	return out.String()
}

// date is how long ago a time was, or how long it will take.
func date(value any) any {
	text, ok := value.(string)
	if !ok {
		return nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return "<invalid>"
	}
	return rest.Age(metav1.NewTime(at))
}
