// Package authentication tells who asks: every request that reaches a director has passed the
// [authenticator.Request] that New builds, or was answered 401.
package authentication
