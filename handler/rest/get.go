package rest

import (
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// get answers with one object.
func (e *endpoint) get(w http.ResponseWriter, r *http.Request, at target) error {
	query, enc, err := e.begin(r)
	if err != nil {
		return err
	}
	obj, err := e.res.Storage.(Getter).Get(r.Context(), at.namespace, at.name, &metav1.GetOptions{ResourceVersion: query.Get("resourceVersion")})
	if err != nil {
		return err
	}
	if enc.format == formatProtobuf {
		message, err := e.message(enc.shape, obj)
		if err != nil {
			return err
		}
		recordStored(r.Context(), enc.shape, obj.JSON())
		e.respondMessage(w, r, http.StatusOK, enc.shape, message)
		return nil
	}
	return e.respondStored(w, r, http.StatusOK, enc, obj.JSON())
}
