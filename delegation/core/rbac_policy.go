package core

import (
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
)

// What clients and operators of the field know bootstrap objects by.
const (
	bootstrappingLabel   = "kubernetes.io/bootstrapping"
	bootstrappingValue   = "rbac-defaults"
	autoUpdateAnnotation = rbacv1.AutoUpdateAnnotationKey
	aggregateTo          = "rbac.authorization.k8s.io/aggregate-to-"
)

const (
	readVerbs  = "get list watch"
	writeVerbs = "create delete deletecollection patch update"
	allVerbs   = readVerbs + " " + writeVerbs
)

// bootstrapClusterRoles are the cluster roles that every server has (contract 4.3). The three roles for users,
// admin, edit and view, are put together from others by their labels, so that an API may add its own.
func bootstrapClusterRoles() []*rbacv1.ClusterRole {
	probes := "/healthz /livez /readyz"
	info := probes + " /version /version/"
	return append(certificateRoles(), []*rbacv1.ClusterRole{
		clusterRole("cluster-admin", allow("*", "*", "*"), allowPaths("*", "*")),
		clusterRole("system:discovery", allowPaths("get", info+" /api /api/* /apis /apis/* /openapi /openapi/*")),
		clusterRole("system:public-info-viewer", allowPaths("get", info)),
		clusterRole("system:basic-user",
			allow("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
			allow("create", "authentication.k8s.io", "selfsubjectreviews")),
		clusterRole("system:monitoring",
			allowPaths("get", "/metrics /metrics/slis /healthz /healthz/* /livez /livez/* /readyz /readyz/* /flagz /statusz"),
			allow("get", "", "nodes/metrics")),
		clusterRole("system:auth-delegator",
			allow("create", "authentication.k8s.io", "tokenreviews"),
			allow("create", "authorization.k8s.io", "subjectaccessreviews")),
		clusterRole("system:kube-aggregator", allow(readVerbs, "", "services endpoints")),
		clusterRole("system:service-account-issuer-discovery",
			allowPaths("get", "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/")),

		aggregated("admin", ""),
		aggregated("edit", "admin"),
		aggregated("view", "edit"),
		partOf("admin", clusterRole("system:aggregate-to-admin",
			allow("create", "authorization.k8s.io", "localsubjectaccessreviews"),
			allow(allVerbs, rbacv1.GroupName, "roles rolebindings"))),
		partOf("edit", clusterRole("system:aggregate-to-edit", editRules()...)),
		partOf("view", clusterRole("system:aggregate-to-view", viewRules()...)),
	}...)
}

// certificateRoles let whoever they are bound to ask for certificates of nodes, have them without being asked, or approve
// certificates of one signer each.
func certificateRoles() []*rbacv1.ClusterRole {
	roles := []*rbacv1.ClusterRole{
		clusterRole("system:node-bootstrapper", allow("create "+readVerbs, certificatesv1.GroupName, "certificatesigningrequests")),
	}
	for _, subresource := range []string{"nodeclient", "selfnodeclient"} {
		roles = append(roles, clusterRole("system:certificates.k8s.io:certificatesigningrequests:"+subresource,
			allow("create", certificatesv1.GroupName, "certificatesigningrequests/"+subresource)))
	}
	for _, signer := range []string{"kube-apiserver-client", "kube-apiserver-client-kubelet", "kubelet-serving", "legacy-unknown"} {
		rule := allow("approve", certificatesv1.GroupName, "signers")
		rule.ResourceNames = []string{"kubernetes.io/" + signer}
		roles = append(roles, clusterRole("system:certificates.k8s.io:"+signer+"-approver", rule))
	}
	return roles
}

func editRules() []rbacv1.PolicyRule {
	streams := "pods/attach pods/exec pods/portforward pods/proxy"
	return []rbacv1.PolicyRule{
		allow(readVerbs, "", streams+" secrets services/proxy"),
		allow("impersonate", "", "serviceaccounts"),
		allow(writeVerbs, "", "pods "+streams),
		allow("create", "", "pods/eviction"),
		allow(writeVerbs, "", "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy"),
		allow("create", "", "serviceaccounts/token"),
		allow(writeVerbs, "apps", "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale"),
		allow(writeVerbs, "autoscaling", "horizontalpodautoscalers"),
		allow(writeVerbs, "batch", "cronjobs jobs"),
		allow(writeVerbs, "policy", "poddisruptionbudgets"),
		allow(writeVerbs, "networking.k8s.io", "ingresses networkpolicies"),
		allow(writeVerbs, "events.k8s.io", "events"),
		allow(allVerbs, "coordination.k8s.io", "leases"),
	}
}

// viewRules leave out secrets and roles: who may see them may become somebody else.
func viewRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		allow(readVerbs, "", "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status"),
		allow(readVerbs, "", "bindings events limitranges namespaces namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status"),
		allow(readVerbs, "discovery.k8s.io", "endpointslices"),
		allow(readVerbs, "apps", "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status"),
		allow(readVerbs, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
		allow(readVerbs, "batch", "cronjobs cronjobs/status jobs jobs/status"),
		allow(readVerbs, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
		allow(readVerbs, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
		allow(readVerbs, "events.k8s.io", "events"),
	}
}

// bootstrapClusterRoleBindings say who has the bootstrap roles from the start.
func bootstrapClusterRoleBindings() []*rbacv1.ClusterRoleBinding {
	return []*rbacv1.ClusterRoleBinding{
		bindGroups("cluster-admin", user.SystemPrivilegedGroup),
		bindGroups("system:discovery", user.AllAuthenticated),
		bindGroups("system:public-info-viewer", user.AllAuthenticated, user.AllUnauthenticated),
		bindGroups("system:basic-user", user.AllAuthenticated),
		bindGroups("system:monitoring", user.MonitoringGroup),
		bindGroups("system:service-account-issuer-discovery", "system:serviceaccounts"),
	}
}

// An extension server reads there whose certificates and which headers to trust (contract 5.7).
const authenticationReader = "extension-apiserver-authentication-reader"

func bootstrapRoles() []*rbacv1.Role {
	r := allow(readVerbs, "", "configmaps")
	r.ResourceNames = []string{"extension-apiserver-authentication"}
	return []*rbacv1.Role{{
		ObjectMeta: bootstrapMeta(metav1.NamespaceSystem, authenticationReader),
		Rules:      []rbacv1.PolicyRule{r},
	}}
}

func bootstrapRoleBindings() []*rbacv1.RoleBinding {
	return []*rbacv1.RoleBinding{{
		ObjectMeta: bootstrapMeta(metav1.NamespaceSystem, "system::"+authenticationReader),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: authenticationReader},
		Subjects: []rbacv1.Subject{
			{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user.KubeControllerManager},
			{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user.KubeScheduler},
		},
	}}
}

// allow is a rule in which verbs and resources are separated by spaces.
func allow(verbs, group, resources string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: strings.Fields(verbs), APIGroups: []string{group}, Resources: strings.Fields(resources)}
}

func allowPaths(verbs, paths string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: strings.Fields(verbs), NonResourceURLs: strings.Fields(paths)}
}

func clusterRole(name string, rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{ObjectMeta: bootstrapMeta("", name), Rules: rules}
}

// partOf makes r's rules part of the named user role.
func partOf(name string, r *rbacv1.ClusterRole) *rbacv1.ClusterRole {
	r.Labels[aggregateTo+name] = "true"
	return r
}

// aggregated is a user role that collects the rules of others, and is itself collected by the role above it.
func aggregated(name, above string) *rbacv1.ClusterRole {
	r := clusterRole(name)
	r.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{
		{MatchLabels: map[string]string{aggregateTo + name: "true"}},
	}}
	if above != "" {
		partOf(above, r)
	}
	return r
}

func bindGroups(role string, groups ...string) *rbacv1.ClusterRoleBinding {
	b := &rbacv1.ClusterRoleBinding{
		ObjectMeta: bootstrapMeta("", role),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
	}
	for _, group := range groups {
		b.Subjects = append(b.Subjects, rbacv1.Subject{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: group})
	}
	return b
}

func bootstrapMeta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace:   namespace,
		Name:        name,
		Labels:      map[string]string{bootstrappingLabel: bootstrappingValue},
		Annotations: map[string]string{autoUpdateAnnotation: "true"},
	}
}
