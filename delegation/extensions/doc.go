// Package extensions is the third unit a request meets, the last before not found.
package extensions
