package proxy

// What untrusted input goes through before a backend sees it, for fuzzing.
var (
	CleanQuery  = cleanQuery
	PassesOn    = passesOn
	ExtraHeader = extraHeader
)
