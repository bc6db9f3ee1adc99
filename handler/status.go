package handler

import "net/http"

// WriteError answers r with err as a metav1.Status in JSON (YAML when asked for), with the code,
// reason and Retry-After of an apierrors.APIStatus. Any other error is a 500 whose text is not
// the client's to read; it is logged.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {}
