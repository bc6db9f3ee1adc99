// Package discovery tells clients which groups, versions and resources there are.
package discovery
