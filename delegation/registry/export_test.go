package registry

var (
	KeepAllButStatus      = keepAllButStatus
	MayHaveUnreadableTime = mayHaveUnreadableTime
)
