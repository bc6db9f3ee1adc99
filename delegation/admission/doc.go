// Package admission is what programs and rules outside the server have to say about a write: mutating and validating
// webhooks, and policies written in CEL. It stands between the registry, which asks before it stores, and the webhook
// servers; the built-in controllers of a unit are asked around it, in the order of contract 7.8:
//
//	built-in → mutating policies → mutating webhooks → (the kind's own rules) → built-in → validating policies →
//	validating webhooks → quota
//
// Hooks follow the stored configurations, policies and bindings. Nothing of it costs a write more than one load of a
// pointer while there are none, and expressions are compiled when a write first needs them.
package admission
