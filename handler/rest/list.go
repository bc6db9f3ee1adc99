package rest

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/handler"
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
		e.recordList(r.Context(), enc.shape, list)
		return e.respondProtobufList(w, r, enc.shape, list)
	case enc.format == formatYAML || enc.pretty:
		var whole bytes.Buffer
		if err := e.writeList(&whole, enc.shape, list, include); err != nil {
			return err
		}
		return e.respondJSON(w, r, http.StatusOK, enc, whole.Bytes())
	}
	a := e.buffers.answer(w, r, http.StatusOK, jsonHeader)
	to := io.Writer(a)
	record := handler.RecordFrom(r.Context())
	var whole bytes.Buffer
	if record.WantsAnswer() {
		to = io.MultiWriter(a, &whole)
	}
	if err := e.writeList(to, enc.shape, list, include); err != nil {
		return a.abandon(err)
	}
	a.Close() // an error means that the client is gone
	record.AddAnswer(whole.Bytes())
	return nil
}

// writeList writes a list in JSON: a header, the items as they are stored, a footer.
func (e *endpoint) writeList(w io.Writer, s shape, list *List, include metav1.IncludeObjectPolicy) error {
	meta := list.meta()
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

func (l *List) meta() metav1.ListMeta {
	return metav1.ListMeta{
		ResourceVersion:    strconv.FormatInt(l.ResourceVersion, 10),
		Continue:           l.Continue,
		RemainingItemCount: l.RemainingItemCount,
	}
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
