// Package core is the second unit a request meets: the built-in groups.
package core
