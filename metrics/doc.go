// Package metrics holds every instrument, its labels and their bounds, in one place.
package metrics
