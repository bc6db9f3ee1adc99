package rest

import (
	"fmt"
	"net/http"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// deleteOptions reads how something is to be deleted, from the body if there is one, else from the query.
func (e *endpoint) deleteOptions(w http.ResponseWriter, r *http.Request, query url.Values) (*metav1.DeleteOptions, error) {
	opts, err := e.deleteBody(w, r)
	if err != nil {
		return nil, err
	}
	if opts == nil {
		if opts, err = parseDelete(query); err != nil {
			return nil, err
		}
	}
	return opts, invalidOptions("DeleteOptions", metavalidation.ValidateDeleteOptions(opts))
}

// deleteBody reads DeleteOptions from the body: those of v1, of meta.k8s.io/v1 or of the resource's own
// group. It returns nil when there is no body.
func (e *endpoint) deleteBody(w http.ResponseWriter, r *http.Request) (*metav1.DeleteOptions, error) {
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	body, err := readBody(w, r, e.cfg.MaxBodyBytes)
	if err != nil || len(body) == 0 {
		return nil, err
	}
	f, err := optionsOffer.bodyFormat(r)
	if err != nil {
		return nil, err
	}
	opts := &metav1.DeleteOptions{}
	if err := e.options.decodeOptions(body, f, e.gvk.GroupVersion(), opts); err != nil {
		return nil, err
	}
	recordOptions(r.Context(), opts)
	return opts, nil
}

// optionsOffer is what options are read from: they have a protobuf form whatever the resource has.
var optionsOffer = offer{yaml: true, protobuf: true}

// newOptionsCodec reads option objects. Its scheme is empty on purpose: every group-version carries the
// same options, and a type that is not registered is decoded whatever its apiVersion says.
func newOptionsCodec() *codec { return newCodec(runtime.NewScheme()) }

// decodeOptions reads DeleteOptions of v1, meta.k8s.io/v1 or gv. Unknown fields in options never mattered.
func (c *codec) decodeOptions(body []byte, f format, gv schema.GroupVersion, into *metav1.DeleteOptions) error {
	fallback := schema.GroupVersionKind{Version: "v1", Kind: "DeleteOptions"}
	_, actual, err := c.decoder(f).Decode(body, &fallback, into)
	if err != nil && !runtime.IsStrictDecodingError(err) {
		return apierrors.NewBadRequest(fmt.Sprintf("the delete options in the body cannot be read: %v", err))
	}
	known := actual.GroupVersion() == fallback.GroupVersion() || actual.GroupVersion() == metav1.SchemeGroupVersion || actual.GroupVersion() == gv
	if actual.Kind != fallback.Kind || !known {
		return apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a DeleteOptions", actual.Kind, actual.Version))
	}
	return nil
}
