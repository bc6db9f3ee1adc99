package handler

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/fields"
)

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

	// segments is what Parts points into, unless the path is deeper than any API's.
	segments [10]string
}

// Parse fills i from the method, path and query of r. On an error it holds what was understood up to there.
//
// The path is read leniently, as every authorizer of the field expects: slashes around it do not count, and the query
// is looked at only where it can decide the verb or the name.
func (i *RequestInfo) Parse(r *http.Request) error {
	*i = RequestInfo{Path: r.URL.Path, Verb: lowerMethod(r.Method)}
	parts := i.split(strings.Trim(r.URL.Path, "/"))
	if len(parts) < 3 || parts[0] != "api" && parts[0] != "apis" {
		return nil
	}
	i.APIPrefix, parts = parts[0], parts[1:]
	if i.APIPrefix == "apis" {
		if len(parts) < 3 {
			return nil // a group or a version of it: discovery
		}
		i.APIGroup, parts = parts[0], parts[1:]
	}
	i.IsResourceRequest = true
	i.APIVersion, parts = parts[0], parts[1:]

	special := parts[0] == "watch" || parts[0] == "proxy"
	if special {
		if len(parts) < 2 {
			return fmt.Errorf("unable to determine kind and namespace from url, %v", r.URL)
		}
		i.Verb, parts = parts[0], parts[1:]
	} else {
		i.Verb = verbOfMethod(r.Method)
	}
	i.parseParts(parts)

	switch {
	case i.Verb == "get" && i.Name == "":
		i.parseListQuery(r.URL.RawQuery)
	case i.Verb == "delete" && i.Name == "":
		i.Verb = "deletecollection"
	}
	if !special && r.URL.RawQuery != "" && (i.Verb == "list" || i.Verb == "watch" || i.Verb == "deletecollection") {
		i.FieldSelector, _ = QueryValue(r.URL.RawQuery, "fieldSelector")
		i.LabelSelector, _ = QueryValue(r.URL.RawQuery, "labelSelector")
	}
	return nil
}

// parseParts reads what follows the version.
func (i *RequestInfo) parseParts(parts []string) {
	if parts[0] == "namespaces" && len(parts) > 1 {
		i.Namespace = parts[1]
		// A third segment that is no subresource of namespaces is a resource inside the namespace.
		if len(parts) > 2 && parts[2] != "status" && parts[2] != "finalize" {
			parts = parts[2:]
		}
	}
	i.Parts = parts
	i.Resource = parts[0]
	if len(parts) > 1 {
		i.Name = parts[1]
	}
	if len(parts) > 2 && i.Verb != "proxy" {
		i.Subresource = parts[2]
	}
}

// parseListQuery tells a list from a watch, and from a request for the one object that a field selector names.
func (i *RequestInfo) parseListQuery(query string) {
	i.Verb = "list"
	if query == "" {
		return
	}
	if watch, ok := QueryValue(query, "watch"); ok && !isFalse(watch) {
		i.Verb = "watch"
	}
	selector, ok := QueryValue(query, "fieldSelector")
	if !ok || !strings.Contains(selector, "metadata.name") {
		return
	}
	parsed, err := fields.ParseSelector(selector)
	if err != nil {
		return // the handler of the list answers it
	}
	if name, ok := parsed.RequiresExactMatch("metadata.name"); ok && len(content.IsPathSegmentName(name)) == 0 {
		i.Name = name
	}
}

// isFalse decides like the decoder of list options, which takes anything but these for true.
func isFalse(value string) bool {
	return value == "0" || strings.EqualFold(value, "false")
}

// split cuts path at its slashes, into the array that i brings along if that is large enough.
func (i *RequestInfo) split(path string) []string {
	if path == "" {
		return nil
	}
	parts := i.segments[:0]
	for {
		segment, rest, more := strings.Cut(path, "/")
		parts = append(parts, segment)
		if !more {
			return parts
		}
		path = rest
	}
}

// QueryValue is the first value of name in a raw query. It does not parse the others: most requests have none of the
// parameters that are asked for here. Pairs that cannot be decoded are skipped, as url.ParseQuery does.
func QueryValue(query, name string) (string, bool) {
	if !strings.Contains(query, name) && strings.IndexByte(query, '%') < 0 && strings.IndexByte(query, '+') < 0 {
		return "", false
	}
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if strings.Contains(pair, ";") {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		if key != name {
			if !strings.ContainsAny(key, "%+") {
				continue
			}
			if decoded, err := url.QueryUnescape(key); err != nil || decoded != name {
				continue
			}
		}
		if value, err := url.QueryUnescape(value); err == nil {
			return value, true
		}
	}
	return "", false
}

func verbOfMethod(method string) string {
	switch method {
	case http.MethodPost:
		return "create"
	case http.MethodGet, http.MethodHead:
		return "get"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		return "delete"
	default:
		return ""
	}
}

func lowerMethod(method string) string {
	switch method {
	case http.MethodGet:
		return "get"
	case http.MethodPost:
		return "post"
	default:
		return strings.ToLower(method)
	}
}
