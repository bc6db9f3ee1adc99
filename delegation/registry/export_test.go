package registry

var MayHaveUnreadableTime = mayHaveUnreadableTime
