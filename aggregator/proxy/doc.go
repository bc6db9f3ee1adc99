// Package proxy sends one request to one backend.
package proxy
