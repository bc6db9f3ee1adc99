package core

import (
	"time"

	"github.com/portico-api/portico/delegation/registry"
)

// DeclaredResources are all declarations of this package by resource name.
func DeclaredResources() map[string]registry.Resource {
	all := []registry.Resource{
		namespaces(), configMaps(), secrets(), serviceAccounts(), services(), endpoints(), events(time.Hour),
		leases(), flowSchemas(), priorityLevelConfigurations(),
		mutatingWebhookConfigurations(), validatingWebhookConfigurations(),
		validatingAdmissionPolicies(), validatingAdmissionPolicyBindings(),
		mutatingAdmissionPolicies(), mutatingAdmissionPolicyBindings(),
		endpointSlices(),
	}
	byName := make(map[string]registry.Resource, len(all))
	for _, r := range all {
		byName[r.Name] = r
	}
	return byName
}
