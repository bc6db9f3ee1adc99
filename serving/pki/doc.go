// Package pki stands beside a request's way: it makes, keeps and renews the certificates and keys
// of a Portico that was given none.
//
// There are two authorities and they are kept apart on purpose: "ca" vouches for the server and for
// its users, "front-proxy-ca" only for proxies that assert somebody else's identity. Were they one,
// every user's certificate could claim to be everybody (contract, section 12).
package pki
