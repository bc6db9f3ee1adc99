// Package wire speaks HTTP/1.1 to one backend on one connection: it is how aggregator/proxy and
// aggregator/backend put a request on the wire and take the answer from it.
//
// Everything happens on the goroutine of the caller. net/http's client has two goroutines for each
// connection and hands each request to one and each answer to the other; a front door, which has a
// goroutine for each request already, pays for that with a third of its time. An answer is read in
// place: its body is shown as slices of the read buffer and never copied on the way.
//
// The grammar is that of RFC 9112 and nothing more: what other readers might understand in another
// way (two lengths, folded lines, lone line feeds) is an error, and a connection is only used again
// after a whole answer and with nothing left over.
//
// Exchanges that last may share a connection of HTTP/2 (Shared, Stream). What is saved by one goroutine for
// a short request does not matter there, so the protocol is a library's.
package wire
