// Package quota bounds how many objects a namespace holds (contract 8.1, 8.4).
//
// A create passes here last of all that may refuse it: each ResourceQuota of its namespace that counts such objects
// is charged in its status before the object is stored, so that any number of creates at the same time cannot pass
// together. Behind the API a controller counts anew what is there after deletions.
package quota
