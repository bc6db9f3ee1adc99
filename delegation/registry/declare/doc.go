// Package declare says what a kind with a Go type is like: its rules in that type, its table, and
// the checks and columns that many kinds share.
//
// It stands beside a request's way: a unit declares its resources with it once, and the registry
// follows the declarations.
package declare
