package aggregator

import "k8s.io/apimachinery/pkg/runtime/schema"

// priority orders groups, and versions within a group, in discovery: higher comes first.
type priority struct {
	group   int
	version int
}

// defaultPriority is that of a group-version which nobody has registered.
var defaultPriority = priority{group: 1000, version: 15}

// builtInPriorities is the order in which clients know the built-in groups (contract 5.3). A
// built-in group version that is missing here gets no APIService.
func builtInPriorities() map[schema.GroupVersion]priority {
	return map[schema.GroupVersion]priority{
		{Group: "", Version: "v1"}:                                   {18000, 1},
		{Group: "apps", Version: "v1"}:                               {17800, 15},
		{Group: "events.k8s.io", Version: "v1"}:                      {17750, 15},
		{Group: "authentication.k8s.io", Version: "v1"}:              {17700, 15},
		{Group: "authorization.k8s.io", Version: "v1"}:               {17600, 15},
		{Group: "autoscaling", Version: "v2"}:                        {17500, 30},
		{Group: "autoscaling", Version: "v1"}:                        {17500, 15},
		{Group: "batch", Version: "v1"}:                              {17400, 15},
		{Group: "certificates.k8s.io", Version: "v1"}:                {17300, 15},
		{Group: "networking.k8s.io", Version: "v1"}:                  {17200, 15},
		{Group: "policy", Version: "v1"}:                             {17100, 15},
		{Group: "rbac.authorization.k8s.io", Version: "v1"}:          {17000, 15},
		{Group: "storage.k8s.io", Version: "v1"}:                     {16800, 15},
		{Group: "apiextensions.k8s.io", Version: "v1"}:               {16700, 15},
		{Group: "admissionregistration.k8s.io", Version: "v1"}:       {16700, 15},
		{Group: "admissionregistration.k8s.io", Version: "v1beta1"}:  {16700, 12},
		{Group: "admissionregistration.k8s.io", Version: "v1alpha1"}: {16700, 9},
		{Group: "scheduling.k8s.io", Version: "v1"}:                  {16600, 15},
		{Group: "coordination.k8s.io", Version: "v1"}:                {16500, 15},
		{Group: "coordination.k8s.io", Version: "v1beta1"}:           {16500, 13},
		{Group: "coordination.k8s.io", Version: "v1alpha2"}:          {16500, 12},
		{Group: "node.k8s.io", Version: "v1"}:                        {16300, 15},
		{Group: "discovery.k8s.io", Version: "v1"}:                   {16200, 15},
		{Group: "resource.k8s.io", Version: "v1"}:                    {16200, 21},
		{Group: "flowcontrol.apiserver.k8s.io", Version: "v1"}:       {16100, 21},
		{Group: "flowcontrol.apiserver.k8s.io", Version: "v1beta3"}:  {16100, 18},
		{Group: "internal.apiserver.k8s.io", Version: "v1alpha1"}:    {16000, 9},
		{Group: "storagemigration.k8s.io", Version: "v1beta1"}:       {15800, 9},
	}
}
