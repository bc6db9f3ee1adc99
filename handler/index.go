package handler

import (
	"encoding/json"
	"net/http"
	"slices"
)

// IndexLister knows the paths that are worth showing.
type IndexLister interface {
	ListedPaths() []string
}

// Index answers {"paths": […]} with the given code: 200 on "/", or 404 as the not-found handler of a server that has
// nobody to delegate to (contract 1.3).
func Index(lister IndexLister, code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths := slices.Clone(lister.ListedPaths())
		slices.Sort(paths)
		body, err := json.MarshalIndent(struct {
			Paths []string `json:"paths"`
		}{append([]string{}, slices.Compact(paths)...)}, "", "  ")
		if err != nil {
			WriteError(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		w.Write(body)
	})
}
