// Package delegation is what every unit of the chain is made of, and the empty delegate that ends it.
//
// A unit is a complete small API server. Its director decides, before anything is written, whether
// a path is the unit's own; every other path falls through the unit's mux into the unprotected
// handler of the next delegate, untouched:
//
//	filters ─► director of the front ─► director of its delegate ─► … ─► empty delegate
//
// The next delegate is never nil, and no unit asks whether something has been written already.
// Units are created back to front, because each needs its delegate; what a delegate contributes
// (hooks, health checks, completeness signals, listed paths, what to destroy) is taken over by the
// unit in front of it, so the front speaks and acts for the whole chain. Only the front's filters
// and the front's listener are used: a request is authenticated, authorized and counted once.
//
//	config := delegation.NewConfig(metrics)
//	extensions, err := config.New("extensions", delegation.NewEmptyDelegate())
//	core, err := config.New("core", extensions)
//	front, err := config.New("front", core)
//	err = front.PrepareRun().Run(ctx)
package delegation
