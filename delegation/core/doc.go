// Package core is the second unit a request meets: the built-in groups.
//
// What the aggregator does not send elsewhere arrives here: namespaces, config maps, secrets,
// services, RBAC, reviews and the rest of the groups that a control plane without nodes has. What
// is not here falls through to the extensions. Each kind is one declaration in one file: its
// names, its rules, its table. Behind the API run the controllers that keep its objects in order;
// they read the caches of this process and write through the registry, like any client.
//
// Who is asked before one of them is stored is in admission.go: the controllers of this package, and around
// the hooks of package admission. Flow schemas are stored for the extension API servers that follow them.
package core
