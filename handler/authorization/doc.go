// Package authorization tells whether they may.
package authorization
