// Package backend knows who is behind an APIService.
package backend
