// Package aggregator is the first unit a request meets: what an APIService claims leaves the house
// here, through the proxy, to the server that the APIService names; everything else goes on to the
// next delegate.
//
// The router follows the stored APIServices and gives each a route in the unit's path mux. Beside
// it, for each remote server and by itself, so that a dead one hurts nobody else, availability asks
// whether it answers and catalogs ask what it serves. Clients read the answers at once, from what
// was known last: as conditions, as discovery on /apis, as OpenAPI on /openapi/v3.
package aggregator
