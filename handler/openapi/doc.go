// Package openapi tells clients what the served resources look like: OpenAPI v3 for each group-version, and
// v2 of all of them together. A request for /openapi/... leaves a unit's path mux into a Service here.
//
// A document is made when it is asked for (service.go): the schemas by reflection on the Go types (schema.go), the
// paths from the verbs of the resources (paths.go, parameters.go), v2 from the v3 documents (v2.go). What
// is kept is the compressed encoding and its hash, nothing else (content.go).
package openapi
