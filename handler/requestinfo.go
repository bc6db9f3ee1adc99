package handler

// RequestInfo says what a request asks for (contract, section 3).
type RequestInfo struct {
	IsResourceRequest bool
	// Path is the URL path as given.
	Path string
	// Verb is a Kubernetes verb for a resource request, else the HTTP method in lower case.
	Verb string

	APIPrefix   string // "api" or "apis"
	APIGroup    string
	APIVersion  string
	Namespace   string
	Resource    string
	Subresource string
	Name        string
	// Parts are the path segments after the namespace: resource, name, subresource and the rest.
	Parts []string

	FieldSelector string
	LabelSelector string
}
