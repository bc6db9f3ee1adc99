// Package serviceaccount makes and verifies the tokens of service accounts (contract 4.2).
//
// A request passes the verifier when it brings a bearer token that is a JWT of one of our issuers. What the token is bound
// to is looked up at every request, so that a token dies with its account; the signature is verified once.
package serviceaccount
