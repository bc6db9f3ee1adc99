package rest

import (
	"bytes"
	"context"
	"encoding/json"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/portico-api/portico/handler"
)

// What is written down of a request is what this server has understood of it, and what it answers, as JSON. A request of which nothing is written
// down, or no bodies, pays for a look into its context.

// recordSent adds the object that a client has sent.
func (e *endpoint) recordSent(ctx context.Context, obj runtime.Object) {
	record := handler.RecordFrom(ctx)
	if record == nil {
		return
	}
	if m, err := meta.Accessor(obj); err == nil {
		record.About(m)
		record.Expects(m.GetResourceVersion())
	}
	if !record.WantsRequest() {
		return
	}
	var body []byte
	var err error
	if e.typed {
		body, err = encode(obj, e.gvk)
	} else {
		body, err = json.Marshal(obj) // encode would correct a wrong kind, which is for others to refuse
	}
	if err == nil { // it was decoded just now
		record.AddRequest(body)
	}
}

// recordPatch adds a patch; one that is YAML as the JSON it stands for.
func recordPatch(ctx context.Context, patch []byte, isYAML bool) {
	record := handler.RecordFrom(ctx)
	if !record.WantsRequest() {
		return
	}
	if isYAML {
		asJSON, err := yaml.YAMLToJSON(patch)
		if err != nil {
			return // which is what the client is told
		}
		patch = asJSON
	}
	record.AddRequest(patch)
}

// recordOptions adds how something is to be deleted.
func recordOptions(ctx context.Context, opts *metav1.DeleteOptions) {
	record := handler.RecordFrom(ctx)
	if !record.WantsRequest() {
		return
	}
	if body, err := encode(opts.DeepCopy(), optionsKind); err == nil { // it was decoded just now
		record.AddRequest(body)
	}
}

var optionsKind = schema.GroupVersionKind{Version: "v1", Kind: "DeleteOptions"}

// recordWritten adds which object a write was about: only the server may have given it its name. An answer that is a Status is sent with code.
func recordWritten(ctx context.Context, obj runtime.Object, code int) {
	record := handler.RecordFrom(ctx)
	if record == nil {
		return
	}
	if status, ok := obj.(*metav1.Status); ok {
		sent := *status
		sent.Code = int32(code)
		record.AddStatus(&sent)
		return
	}
	if m, err := meta.Accessor(obj); err == nil {
		record.About(m)
	}
}

// recordObject makes obj a gvk, and adds it when it is sent in another form than JSON.
func recordObject(ctx context.Context, obj runtime.Object, gvk schema.GroupVersionKind) {
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	record := handler.RecordFrom(ctx)
	if !record.WantsAnswer() {
		return
	}
	if body, err := encode(obj, gvk); err == nil { // what cannot be encoded is not sent either
		record.AddAnswer(body)
	}
}

// recordStored adds what a storage handed out and is sent in another form.
func recordStored(ctx context.Context, s shape, stored []byte) {
	record := handler.RecordFrom(ctx)
	if !record.WantsAnswer() {
		return
	}
	if s == shapePartial {
		stored = appendPartial(nil, stored)
	}
	record.AddAnswer(stored)
}

// recordList adds a list that is sent in another form.
func (e *endpoint) recordList(ctx context.Context, s shape, list *List) {
	record := handler.RecordFrom(ctx)
	if !record.WantsAnswer() {
		return
	}
	var whole bytes.Buffer
	if err := e.writeList(&whole, s, list, metav1.IncludeMetadata); err == nil {
		record.AddAnswer(whole.Bytes())
	}
}
