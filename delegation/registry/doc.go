// Package registry is the life of one resource, the same for built-in and custom: an operation of the
// HTTP layer becomes a checked object here, and the object becomes bytes below.
//
// A Resource declares what is particular to a kind. A Store does the rest: system metadata, generated
// names, validation, optimistic concurrency, finalizers and deletion, lists at any revision, watches from
// any. What it reads it hands on as the bytes that are stored; only writes and controllers decode.
package registry
