// Package certificates is certificates.k8s.io: requests for client certificates, who may approve them, and who signs them
// (contract 8.1).
//
// A request for one arrives here through the registry like any other object of the middle unit; whether it may be
// approved is asked of the authorizer by signer. Behind the API, one controller signs what was approved and
// another clears away what is over.
package certificates
