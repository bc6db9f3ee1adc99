// Package rawjson finds parts of JSON without decoding it. It is for what has been decoded before, such as what a store hands out: what it
// passes over may be anything with as many brackets that close as open.
package rawjson
