// Package workload declares the kinds that describe what runs in a cluster: pods, what makes pods, what pods use, and the
// nodes they would run on. Here they are data: stored, defaulted and checked, and run by nobody.
//
// It stands beside a request's way: the core unit declares its resources with it, when it is asked to. Without that
// nothing of it is in the scheme or in memory.
//
// Defaults and checks belong to Go types, not to kinds: a container is the same in a pod, a Deployment's template and a
// CronJob's, so it is told once what a container is (rules.go), and a walk over the object finds all of them (shape.go).
package workload
