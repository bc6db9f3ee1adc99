// Package rest turns a verb into an operation: it stands between a unit's web services and the
// storage of its resources.
//
// A request arrives here routed, authenticated and allowed. The package reads what the client asked
// for (options, body, media types), calls the resource's storage through the small interfaces of
// storage.go, and writes the answer. What a storage hands out is bytes already, so a read in JSON is
// copied and never decoded; every other encoding and shape is made from those bytes on demand.
package rest
