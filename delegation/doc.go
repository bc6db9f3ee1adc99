// Package delegation is what every unit of the chain is made of, and the empty delegate that ends it.
package delegation
