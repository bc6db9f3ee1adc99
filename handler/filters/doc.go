// Package filters is what every request passes once, in the order of the list in chain.go, before the first unit's
// director sees it. The units behind are entered by their unprotected handlers.
package filters
