// Package extensions is the third unit a request meets, the last before not found: the API group
// that defines custom resources, and the custom resources themselves. It decides by a table of
// (group, resource) that is replaced as a whole when a definition changes.
package extensions
