// Package storage is where an object becomes bytes: the last room on a request's way, below the
// registry. Writes go to an etcd, embedded in this process or a cluster; every read and every watch
// is answered from memory.
//
// One watch on the etcd feeds the caches of all resources in the order of revisions (stream.go), so how
// much has been seen is one number for the whole store, and a read is fresh when that number has
// reached the revision of the last acknowledged write (freshness.go).
//
// A cache keeps each object once, as the JSON a client reads (object.go, splice.go), in a copy-on-write
// tree (cache.go): a list or a page of it reads an immutable snapshot without a lock. The last changes
// are kept on a ring (ring.go) which watchers read through cursors (cursor.go), and from which the state
// at an earlier revision is made by undoing what came after it (past.go).
//
// Keys are kube-apiserver's: prefix, path of the resource, namespace if it has one, name. Values are
// the exact JSON without its resourceVersion, which is the revision etcd gave the write.
package storage
