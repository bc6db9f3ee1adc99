// Package discovery tells clients which groups, versions and resources there are: aggregated on
// /apis and /api for clients that ask for it, and as the older documents, one per group and
// version, for those that do not. Every unit of the chain reports what it serves to one Manager;
// what a client reads is an immutable document, made when it is first asked for.
package discovery
