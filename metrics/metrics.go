package metrics

// Storage observes the store and its caches.
type Storage struct{}
