package handler

import (
	"sync"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// A Request is itself what an authorizer is asked about, so that asking allocates nothing.
var _ authorizer.Attributes = (*Request)(nil)

// selectors are the parsed selectors of a request. Few authorizers look at them, so they are parsed when asked for.
type selectors struct {
	once     sync.Once
	fields   fields.Requirements
	labels   labels.Requirements
	fieldErr error
	labelErr error
}

// GetUser implements authorizer.Attributes, as do the methods below.
func (r *Request) GetUser() user.Info { return r.User }

func (r *Request) GetVerb() string { return r.Info.Verb }

func (r *Request) IsReadOnly() bool {
	return r.Info.Verb == "get" || r.Info.Verb == "list" || r.Info.Verb == "watch"
}

func (r *Request) GetNamespace() string { return r.Info.Namespace }

func (r *Request) GetResource() string { return r.Info.Resource }

func (r *Request) GetSubresource() string { return r.Info.Subresource }

func (r *Request) GetName() string { return r.Info.Name }

func (r *Request) GetAPIGroup() string { return r.Info.APIGroup }

func (r *Request) GetAPIVersion() string { return r.Info.APIVersion }

func (r *Request) IsResourceRequest() bool { return r.Info.IsResourceRequest }

func (r *Request) GetPath() string { return r.Info.Path }

func (r *Request) GetFieldSelector() (fields.Requirements, error) {
	r.parseSelectors()
	return r.selectors.fields, r.selectors.fieldErr
}

func (r *Request) GetLabelSelector() (labels.Requirements, error) {
	r.parseSelectors()
	return r.selectors.labels, r.selectors.labelErr
}

func (r *Request) parseSelectors() {
	s := &r.selectors
	s.once.Do(func() {
		if r.Info.FieldSelector != "" {
			parsed, err := fields.ParseSelector(r.Info.FieldSelector)
			if s.fieldErr = err; err == nil {
				s.fields = parsed.Requirements()
			}
		}
		if r.Info.LabelSelector != "" {
			parsed, err := labels.Parse(r.Info.LabelSelector)
			if s.labelErr = err; err == nil {
				s.labels, _ = parsed.Requirements()
			}
		}
	})
}
