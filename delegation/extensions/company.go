package extensions

import "time"

const (
	// lookAround is how long it takes at least to see whether there is company.
	lookAround = 250 * time.Millisecond
	// perWrite is how many requests a client needs to write a definition: the write, and a look at what is there.
	perWrite = 2
	// enough is how many requests a second are company.
	enough = 20
)

// company tells whether others ask the server for something while definitions are written.
type company struct {
	asked func() uint64 // requests, whatever they are for; nil: nobody knows

	there bool
	since time.Time // when it was looked at last, and what was there
	seen  uint64
	own   uint64 // requests of those who write definitions, since then
}

// writes notes that a client asks for a definition to be written.
func (c *company) writes() { c.own += perWrite }

// present is asked after each piece of work on definitions.
func (c *company) present(now time.Time) bool {
	if c.asked == nil {
		return false
	}
	if took := now.Sub(c.since); took >= lookAround {
		seen := c.asked()
		others := float64(seen-c.seen) - float64(c.own)
		c.there = others > enough*took.Seconds()
		c.since, c.seen, c.own = now, seen, 0
	}
	return c.there
}
