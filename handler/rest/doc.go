// Package rest turns an HTTP verb on a resource into an operation of its registry.
package rest
