// Package registry is the life of one resource: an operation becomes a checked object.
package registry
