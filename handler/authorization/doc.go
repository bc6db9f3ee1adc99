// Package authorization tells whether they may: it is asked once for every request, after
// authentication and impersonation and before the director, and again by the access reviews.
package authorization
