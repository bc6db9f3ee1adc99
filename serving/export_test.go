package serving

import "net"

// FollowFraming tells where requests begin in data, as the check of message framing sees it, and
// whether it lets all of them pass.
func FollowFraming(data []byte) (starts []int, ok bool) {
	var f framing
	begun := false
	for i := range data {
		if f.state == inLines && !f.inHead && !begun {
			starts, begun = append(starts, i), true
		}
		if _, ok := f.follow(data[i : i+1]); !ok {
			return starts, false
		}
		if f.state != inLines || f.inHead {
			begun = false
		}
	}
	return starts, true
}

// RefusesFraming is FollowFraming for data read in parts of size bytes.
func RefusesFraming(data []byte, size int) bool {
	var f framing
	for len(data) > 0 {
		n := min(size, len(data))
		if _, ok := f.follow(data[:n]); !ok {
			return true
		}
		data = data[n:]
	}
	return false
}

// Gathered is a connection as HTTP/2 is served on.
func Gathered(c net.Conn) net.Conn {
	g := newGatheringConn(c, newGatherBuffers())
	g.gathering.Store(true)
	return g
}
