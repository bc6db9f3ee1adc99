// Package controller is what runs behind an API: a queue of keys to look at, and parts that begin
// and end together.
//
// No request passes here. Controllers read the caches of this process and write through the
// registry, like any client.
package controller
