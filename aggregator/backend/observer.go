package backend

import "time"

// Observer is told what becomes of the endpoints of one service.
type Observer interface {
	// Meet returns who is told of an endpoint, until it is gone.
	Meet(address string) Witness
}

// Witness is told of one endpoint.
type Witness interface {
	// Answered tells of an answer, and how long it was in coming.
	Answered(code int, took time.Duration)
	// Count tells that there is more or less of something.
	Count(what Quantity, difference int)
	// Forget tells that it is gone. More may be told of it, by requests that are still on their way.
	Forget()
}

// Quantity is what a Witness counts.
type Quantity uint8

// InFlight, Connections and LeftOut go up and down, the others only up.
const (
	InFlight Quantity = iota
	Connections
	LeftOut
	Retries
	Failures
	Ejections
)

// nobody is the observer of a transport that has none.
type nobody struct{}

func (nobody) Meet(string) Witness         { return nobody{} }
func (nobody) Answered(int, time.Duration) {}
func (nobody) Count(Quantity, int)         {}
func (nobody) Forget()                     {}
