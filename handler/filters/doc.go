// Package filters is what every request passes once, in this order.
package filters
