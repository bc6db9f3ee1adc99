package rig

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports below those that the kernel hands out by itself: one of those could become somebody's source port between the
// moment it is found free and the moment a program listens on it.
const (
	firstPort = 12000
	lastPort  = 32000
)

// FreePort returns a loopback port that nobody listens on, for programs that cannot choose one themselves.
func FreePort() (int, error) {
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("finding a free port: a hundred in a row were taken")
}
