// Package authentication tells who asks.
package authentication
