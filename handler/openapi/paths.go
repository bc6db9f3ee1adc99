package openapi

import (
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

const (
	extensionKind   = "x-kubernetes-group-version-kind"
	extensionAction = "x-kubernetes-action"
)

// describer collects the paths and models of one document.
type describer struct {
	prefix  string
	gv      schema.GroupVersion
	schemas *schemas
	paths   map[string]*spec3.Path
}

// Media types of bodies. Watches have a form of their own in some of them.
var (
	bodies  = []string{"application/json", "application/yaml", "application/vnd.kubernetes.protobuf"}
	streams = []string{"application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"}
	patches = []string{"application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml"}
)

// describeDiscovery tells of the group-version's own list of resources.
func (d *describer) describeDiscovery() {
	op := d.operation("get", "APIResources", "get available resources")
	op.Responses.StatusCodeResponses[http.StatusOK] = answer("OK", d.schemas.model(metav1.APIResourceList{}), bodies...)
	d.path(d.prefix + "/").Get = op
}

// describe tells of a resource and its subresources. The older addresses below /watch/ are left out: they say the
// same again, at twice the length of all documents.
func (d *describer) describe(r *Resource) {
	collection, scope := d.prefix+"/"+r.Name, ""
	if r.Namespaced {
		collection, scope = d.prefix+"/namespaces/{namespace}/"+r.Name, "Namespaced"
		if slices.Contains(r.Verbs, "list") {
			everywhere := d.path(d.prefix + "/" + r.Name)
			everywhere.Get = d.list(r, "", "ForAllNamespaces")
			everywhere.Parameters = append(queryOf(metav1.ListOptions{}), pretty())
		}
	}
	d.describeCollection(r, collection, scope)
	d.describeItem(r, collection+"/{name}", scope, "")
	for i := range r.Subresources {
		sub := r.Subresources[i]
		sub.Namespaced = r.Namespaced
		d.describeItem(&sub, collection+"/{name}/"+sub.Name, scope, r.Kind.Kind)
	}
}

func (d *describer) describeCollection(r *Resource, address, scope string) {
	p := new(spec3.Path)
	for _, verb := range r.Verbs {
		switch verb {
		case "list":
			p.Get = d.list(r, scope, "")
			p.Get.Parameters = queryOf(metav1.ListOptions{})
		case "create":
			p.Post = d.write(r, "post", scope+r.Kind.Kind, "create a "+r.Kind.Kind, queryOf(metav1.CreateOptions{}))
		case "deletecollection":
			op := d.operation("delete", "Collection"+scope+r.Kind.Kind, "delete collection of "+r.Kind.Kind)
			d.about(op, "deletecollection", r.Kind)
			op.Parameters = append(queryOf(metav1.DeleteOptions{}), queryOf(metav1.ListOptions{}, "watch", "allowWatchBookmarks")...)
			op.RequestBody = body(d.schemas.model(metav1.DeleteOptions{}), false, "*/*")
			op.Responses.StatusCodeResponses[http.StatusOK] = answer("OK", d.schemas.model(metav1.Status{}), bodies...)
			p.Delete = op
		}
	}
	d.put(address, p, r.Namespaced, false)
}

// describeItem tells of one object, or of a subresource of the kind parent.
func (d *describer) describeItem(r *Resource, address, scope, parent string) {
	name := scope + r.Kind.Kind
	what := "the specified " + r.Kind.Kind
	if parent != "" {
		name = scope + parent + camel(r.Name)
		what = r.Name + " of the specified " + parent
	}
	p := new(spec3.Path)
	for _, verb := range r.Verbs {
		switch verb {
		case "get":
			op := d.operation("read", name, "read "+what)
			d.about(op, "get", r.Kind)
			op.Responses.StatusCodeResponses[http.StatusOK] = answer("OK", d.object(r), r.forms(bodies)...)
			p.Get = op
		case "create":
			if parent != "" {
				p.Post = d.write(r, "post", name, "create "+what, queryOf(metav1.CreateOptions{}))
			}
		case "update":
			p.Put = d.write(r, "put", name, "replace "+what, queryOf(metav1.UpdateOptions{}))
		case "patch":
			p.Patch = d.write(r, "patch", name, "partially update "+what, queryOf(metav1.PatchOptions{}))
			p.Patch.RequestBody = body(d.schemas.model(metav1.Patch{}), true, r.patches()...)
		case "delete":
			op := d.operation("delete", name, "delete "+what)
			d.about(op, "delete", r.Kind)
			op.Parameters = queryOf(metav1.DeleteOptions{})
			op.RequestBody = body(d.schemas.model(metav1.DeleteOptions{}), false, "*/*")
			op.Responses.StatusCodeResponses[http.StatusOK] = answer("OK", d.schemas.model(metav1.Status{}), bodies...)
			op.Responses.StatusCodeResponses[http.StatusAccepted] = answer("Accepted", d.schemas.model(metav1.Status{}), bodies...)
			p.Delete = op
		}
	}
	d.put(address, p, r.Namespaced, true)
}

func (d *describer) list(r *Resource, scope, everywhere string) *spec3.Operation {
	op := d.operation("list", scope+r.Kind.Kind+everywhere, "list or watch objects of kind "+r.Kind.Kind)
	d.about(op, "list", r.Kind)
	op.Responses.StatusCodeResponses[http.StatusOK] = answer("OK", d.collection(r), append(r.forms(bodies), r.forms(streams)...)...)
	return op
}

// writeVerbs are the verbs that the ids of operations begin with.
var writeVerbs = map[string]string{"post": "create", "put": "replace", "patch": "patch"}

// write is an operation that takes an object and answers with its new state.
func (d *describer) write(r *Resource, action, what, text string, query []*spec3.Parameter) *spec3.Operation {
	op := d.operation(writeVerbs[action], what, text)
	d.about(op, action, r.Kind)
	op.Parameters = query
	object := d.object(r)
	op.RequestBody = body(object, true, "*/*")
	op.Responses.StatusCodeResponses[http.StatusOK] = answer("OK", object, r.forms(bodies)...)
	op.Responses.StatusCodeResponses[http.StatusCreated] = answer("Created", object, r.forms(bodies)...)
	if action == "post" {
		op.Responses.StatusCodeResponses[http.StatusAccepted] = answer("Accepted", object, r.forms(bodies)...)
	}
	return op
}

// operation is what all operations have. Its id is the verb, the group-version and what it is done to.
func (d *describer) operation(verb, what, text string) *spec3.Operation {
	group, _, _ := strings.Cut(d.gv.Group, ".")
	if group == "" {
		group = "core"
	}
	return &spec3.Operation{OperationProps: spec3.OperationProps{
		Tags:        []string{group + "_" + d.gv.Version},
		Description: text,
		OperationId: verb + camel(group) + camel(d.gv.Version) + what,
		Responses: &spec3.Responses{ResponsesProps: spec3.ResponsesProps{StatusCodeResponses: map[int]*spec3.Response{
			http.StatusUnauthorized: {ResponseProps: spec3.ResponseProps{Description: "Unauthorized"}},
		}}},
	}}
}

func (d *describer) about(op *spec3.Operation, action string, kind schema.GroupVersionKind) {
	op.AddExtension(extensionAction, action)
	op.AddExtension(extensionKind, map[string]any{"group": kind.Group, "version": kind.Version, "kind": kind.Kind})
}

// put adds a path that has an operation, with the parameters its address asks for.
func (d *describer) put(address string, p *spec3.Path, namespaced, named bool) {
	if p.Get == nil && p.Put == nil && p.Post == nil && p.Patch == nil && p.Delete == nil {
		return
	}
	if named {
		p.Parameters = append(p.Parameters, inPath("name", "name of the object"))
	}
	if namespaced {
		p.Parameters = append(p.Parameters, inPath("namespace", "object name and auth scope, such as for teams and projects"))
	}
	p.Parameters = append(p.Parameters, pretty())
	d.paths[address] = p
}

func (d *describer) path(address string) *spec3.Path {
	p := new(spec3.Path)
	d.paths[address] = p
	return p
}

func answer(text string, s *spec.Schema, media ...string) *spec3.Response {
	return &spec3.Response{ResponseProps: spec3.ResponseProps{Description: text, Content: content(s, media)}}
}

func body(s *spec.Schema, required bool, media ...string) *spec3.RequestBody {
	return &spec3.RequestBody{RequestBodyProps: spec3.RequestBodyProps{Required: required, Content: content(s, media)}}
}

func content(s *spec.Schema, media []string) map[string]*spec3.MediaType {
	c := make(map[string]*spec3.MediaType, len(media))
	for _, m := range media {
		c[m] = &spec3.MediaType{MediaTypeProps: spec3.MediaTypeProps{Schema: s}}
	}
	return c
}

// camel makes a part of an operation's id.
func camel(s string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(s, "-") {
		if part != "" {
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return b.String()
}
