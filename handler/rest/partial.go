package rest

import "github.com/portico-api/portico/handler/rawjson"

// appendPartial appends the PartialObjectMetadata of a stored object to dst: its metadata as it is, below
// another kind.
func appendPartial(dst, stored []byte) []byte {
	metadata := rawjson.Field(stored, "metadata")
	if metadata == nil {
		metadata = []byte("{}")
	}
	dst = append(dst, `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":`...)
	dst = append(dst, metadata...)
	return append(dst, '}')
}
