// Package pki makes, keeps and renews the certificates and keys of a Portico that was given none.
package pki
