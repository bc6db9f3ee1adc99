// Package storage keeps objects as bytes: an etcd, embedded or a cluster, and the cache every read and watch is served from.
package storage
