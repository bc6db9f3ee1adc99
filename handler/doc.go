// Package handler is one request inside one unit: request info, director, path mux.
package handler
