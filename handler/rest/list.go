package rest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// list answers with a collection, or starts a watch of it when the query says so.
func (e *endpoint) list(w http.ResponseWriter, r *http.Request, at target) error {
	query, err := parseQuery(r)
	if err != nil {
		return err
	}
	if _, ok := e.res.Storage.(Watcher); ok && queryBool(query["watch"]) {
		return e.watch(w, r, at, query)
	}
	o := e.offer()
	o.list = true
	enc, err := o.negotiate(r, query)
	if err != nil {
		return err
	}
	opts, err := parseList(query, false)
	if err != nil {
		return err
	}
	include := metav1.IncludeMetadata
	if enc.shape == shapeTable {
		if include, err = includeObject(r); err != nil {
			return err
		}
	}
	list, err := e.res.Storage.(Lister).List(r.Context(), at.namespace, &opts.ListOptions)
	if err != nil {
		return err
	}
	return e.respondList(w, r, enc, list, include)
}

func (e *endpoint) respondList(w http.ResponseWriter, r *http.Request, enc encoding, list *List, include metav1.IncludeObjectPolicy) error {
	switch {
	case enc.format == formatProtobuf:
		body, err := e.protobufList(enc.shape, list)
		if err != nil {
			return err
		}
		e.buffers.writeBody(w, r, http.StatusOK, protobufHeader, body)
		return nil
	case enc.format == formatYAML || enc.pretty:
		var whole bytes.Buffer
		if err := e.writeList(&whole, enc.shape, list, include); err != nil {
			return err
		}
		return e.respondJSON(w, r, http.StatusOK, enc, whole.Bytes())
	}
	a := e.buffers.answer(w, r, http.StatusOK, jsonHeader)
	if err := e.writeList(a, enc.shape, list, include); err != nil {
		return a.abandon(err)
	}
	a.Close() // an error means that the client is gone
	return nil
}

// writeList writes a list in JSON: a header, the items as they are stored, a footer.
func (e *endpoint) writeList(w io.Writer, s shape, list *List, include metav1.IncludeObjectPolicy) error {
	meta := metav1.ListMeta{
		ResourceVersion:    strconv.FormatInt(list.ResourceVersion, 10),
		Continue:           list.Continue,
		RemainingItemCount: list.RemainingItemCount,
	}
	var scratch []byte
	switch s {
	case shapeTable:
		scratch = e.table.open(scratch, meta, true)
	case shapePartial:
		scratch = appendListHeader(scratch, "PartialObjectMetadataList", metav1.SchemeGroupVersion.String(), meta)
	default:
		scratch = appendListHeader(scratch, e.listKind, e.gvk.GroupVersion().String(), meta)
	}
	var err error
	if _, err = w.Write(scratch); err != nil {
		return nil
	}
	comma := []byte{','}
	first := true
	for obj := range list.Items {
		if !first {
			w.Write(comma) // the item's own write meets the same error
		}
		first = false
		item := obj.JSON()
		switch s {
		case shapeTable:
			scratch, err = e.table.row(scratch[:0], item, include)
			item = scratch
		case shapePartial:
			scratch = appendPartial(scratch[:0], item)
			item = scratch
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(item); err != nil {
			return nil // the client is gone
		}
	}
	w.Write([]byte("]}"))
	return nil
}

func appendListHeader(dst []byte, kind, apiVersion string, meta metav1.ListMeta) []byte {
	dst = append(dst, `{"kind":`...)
	dst = strconv.AppendQuote(dst, kind)
	dst = append(dst, `,"apiVersion":`...)
	dst = strconv.AppendQuote(dst, apiVersion)
	dst = append(dst, `,"metadata":`...)
	dst = appendListMeta(dst, meta)
	return append(dst, `,"items":[`...)
}

// protobufList decodes every item: the one form that is not made from stored bytes by copying.
func (e *endpoint) protobufList(s shape, list *List) ([]byte, error) {
	listMeta := metav1.ListMeta{
		ResourceVersion:    strconv.FormatInt(list.ResourceVersion, 10),
		Continue:           list.Continue,
		RemainingItemCount: list.RemainingItemCount,
	}
	if s == shapePartial {
		partial := &metav1.PartialObjectMetadataList{ListMeta: listMeta}
		for obj := range list.Items {
			var item metav1.PartialObjectMetadata
			if err := decodeStored(obj.JSON(), &item); err != nil {
				return nil, err
			}
			item.SetGroupVersionKind(partialKind)
			partial.Items = append(partial.Items, item)
		}
		partial.SetGroupVersionKind(metav1.SchemeGroupVersion.WithKind("PartialObjectMetadataList"))
		return e.encodeProtobuf(nil, partial)
	}
	var items []runtime.Object
	for obj := range list.Items {
		item := e.res.New()
		if err := decodeStored(obj.JSON(), item); err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	whole := e.res.NewList()
	if err := setList(whole, items, listMeta); err != nil {
		return nil, err
	}
	whole.GetObjectKind().SetGroupVersionKind(e.gvk.GroupVersion().WithKind(e.listKind))
	return e.encodeProtobuf(nil, whole)
}

func setList(whole runtime.Object, items []runtime.Object, listMeta metav1.ListMeta) error {
	if err := meta.SetList(whole, items); err != nil {
		return fmt.Errorf("collecting a %T: %w", whole, err)
	}
	access, err := meta.ListAccessor(whole)
	if err != nil {
		return fmt.Errorf("collecting a %T: %w", whole, err)
	}
	access.SetResourceVersion(listMeta.ResourceVersion)
	access.SetContinue(listMeta.Continue)
	access.SetRemainingItemCount(listMeta.RemainingItemCount)
	return nil
}

// watchPath serves the deprecated /watch/ paths: a list that watches whatever its query says, of one
// object when the path names it.
func (e *endpoint) watchPath(w http.ResponseWriter, r *http.Request, at target) error {
	query, err := parseQuery(r)
	if err != nil {
		return err
	}
	if at.name != "" {
		if query == nil {
			query = url.Values{}
		}
		query.Set("fieldSelector", "metadata.name="+at.name)
	}
	return e.watch(w, r, at, query)
}
