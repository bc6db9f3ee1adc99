// Package garbagecollection deletes what nobody owns any more (contract 8.3).
//
// No request passes here: the collector runs behind the API. It follows every resource that the chain knows, in this
// process or behind an APIService, and remembers of each object only whether it has owners or is held by a
// deletion that waits for what it owns. Most objects have no owner and cost nothing.
//
// An object is deleted when none of its owners exists any more. An owner is known not to exist when it was looked for and was
// not found, or another object has its name; never because it was not heard of, or could not be asked for.
package garbagecollection
