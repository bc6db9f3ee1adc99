package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/portico-api/portico/handler/rawjson"
)

// Age is the cell that tells how long ago created was, as people read it.
func Age(created metav1.Time) string {
	if created.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(time.Since(created.Time))
}

// tabler renders one resource's objects as rows.
type tabler struct {
	columns []byte // the column definitions in JSON
	cells   func(obj runtime.Object) []any
	newRow  func() runtime.Object // what cells wants to see
}

func newTabler(res *Resource) *tabler {
	columns, cells, newRow := defaultColumns(), defaultCells, newPartial
	if res.Table != nil {
		columns, cells, newRow = res.Table.Columns, res.Table.Cells, res.New
	}
	encoded, err := json.Marshal(columns)
	if err != nil {
		panic(fmt.Sprintf("columns of %s: %v", res.Name, err)) // plain structs always encode
	}
	return &tabler{columns: encoded, cells: cells, newRow: newRow}
}

func newPartial() runtime.Object { return &metav1.PartialObjectMetadata{} }

func defaultColumns() []metav1.TableColumnDefinition {
	docs := metav1.ObjectMeta{}.SwaggerDoc()
	return []metav1.TableColumnDefinition{
		{Name: "Name", Type: "string", Format: "name", Description: docs["name"]},
		{Name: "Created At", Type: "date", Description: docs["creationTimestamp"]},
	}
}

func defaultCells(obj runtime.Object) []any {
	m := obj.(*metav1.PartialObjectMetadata)
	return []any{m.Name, m.CreationTimestamp.UTC().Format(time.RFC3339)}
}

// includeObject reads how much of each object a Table's rows carry.
func includeObject(r *http.Request) (metav1.IncludeObjectPolicy, error) {
	query, err := parseQuery(r)
	if err != nil {
		return "", err
	}
	switch policy := metav1.IncludeObjectPolicy(query.Get("includeObject")); policy {
	case "":
		return metav1.IncludeMetadata, nil
	case metav1.IncludeNone, metav1.IncludeMetadata, metav1.IncludeObject:
		return policy, nil
	default:
		return "", apierrors.NewBadRequest(fmt.Sprintf("unrecognized includeObject value: %q", string(policy)))
	}
}

// open begins a Table; columns may be left out of all but the first of a watch.
func (t *tabler) open(dst []byte, meta metav1.ListMeta, columns bool) []byte {
	dst = append(dst, `{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":`...)
	dst = appendListMeta(dst, meta)
	dst = append(dst, `,"columnDefinitions":`...)
	if columns {
		dst = append(dst, t.columns...)
	} else {
		dst = append(dst, "null"...)
	}
	return append(dst, `,"rows":[`...)
}

func (t *tabler) close(dst []byte) []byte { return append(dst, "]}"...) }

// row appends the row of one object.
func (t *tabler) row(dst, stored []byte, include metav1.IncludeObjectPolicy) ([]byte, error) {
	obj := t.newRow()
	if err := decodeStored(stored, obj); err != nil {
		return nil, err
	}
	cells, err := json.Marshal(t.cells(obj))
	if err != nil {
		return nil, fmt.Errorf("encoding the cells of a row: %w", err)
	}
	dst = append(dst, `{"cells":`...)
	dst = append(dst, cells...)
	dst = append(dst, `,"object":`...)
	switch include {
	case metav1.IncludeNone:
		dst = append(dst, "null"...)
	case metav1.IncludeObject:
		dst = append(dst, stored...)
	default:
		dst = appendPartial(dst, stored)
	}
	return append(dst, '}'), nil
}

// single is the Table of one object.
func (t *tabler) single(stored []byte, include metav1.IncludeObjectPolicy, columns bool) ([]byte, error) {
	body := t.open(nil, metav1.ListMeta{ResourceVersion: resourceVersionOf(stored)}, columns)
	body, err := t.row(body, stored, include)
	if err != nil {
		return nil, err
	}
	return t.close(body), nil
}

// resourceVersionOf reads metadata.resourceVersion without decoding the rest.
func resourceVersionOf(stored []byte) string {
	raw := rawjson.Field(rawjson.Field(stored, "metadata"), "resourceVersion")
	version, err := strconv.Unquote(string(raw))
	if err != nil {
		return ""
	}
	return version
}

// appendListMeta appends the metadata of a list.
func appendListMeta(dst []byte, meta metav1.ListMeta) []byte {
	dst = append(dst, `{"resourceVersion":`...)
	dst = strconv.AppendQuote(dst, meta.ResourceVersion)
	if meta.Continue != "" {
		dst = append(dst, `,"continue":`...)
		dst = strconv.AppendQuote(dst, meta.Continue) // base64url needs no escape
	}
	if meta.RemainingItemCount != nil {
		dst = append(dst, `,"remainingItemCount":`...)
		dst = strconv.AppendInt(dst, *meta.RemainingItemCount, 10)
	}
	return append(dst, '}')
}
