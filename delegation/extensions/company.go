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
	own   uint64 // writes of definitions since then
}

// present is asked after each piece of work on definitions; written: for a client.
func (c *company) present(now time.Time, written bool) bool {
	if c.asked == nil {
		return false
	}
	if written {
		c.own++
	}
	if took := now.Sub(c.since); took >= lookAround {
		seen := c.asked()
		others := float64(seen-c.seen) - float64(perWrite*c.own)
		c.there = others > enough*took.Seconds()
		c.since, c.seen, c.own = now, seen, 0
	}
	return c.there
}
