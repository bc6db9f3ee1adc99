package backend

import "fmt"

// Reasons of an Unresolved, as they stand in the Available condition of an APIService.
const (
	ReasonServiceNotFound    = "ServiceNotFound"
	ReasonServiceAccessError = "ServiceAccessError"
	ReasonServicePortError   = "ServicePortError"
	ReasonEndpointsNotFound  = "EndpointsNotFound"
	ReasonMissingEndpoints   = "MissingEndpoints"
)

// Unresolved tells why a service has no address to send a request to, in the words of the
// Available condition.
type Unresolved struct {
	Reason  string
	Message string
}

func (u *Unresolved) Error() string { return u.Message }

// Unknown tells that the service could not be judged at all: its condition is then Unknown and
// not False.
func (u *Unresolved) Unknown() bool { return u.Reason == ReasonServiceAccessError }

// unresolved makes an Unresolved whose message begins by naming the service.
func unresolved(reason string, ref ServiceReference, format string, args ...any) *Unresolved {
	return &Unresolved{
		Reason:  reason,
		Message: fmt.Sprintf("service/%s in %q ", ref.Name, ref.Namespace) + fmt.Sprintf(format, args...),
	}
}
