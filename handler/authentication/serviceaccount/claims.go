package serviceaccount

import (
	"github.com/golang-jwt/jwt/v5"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
)

// LegacyIssuer is who issues tokens that are kept in secrets and do not end.
const LegacyIssuer = "kubernetes/serviceaccount"

// Reference names an object that a token is bound to.
type Reference struct {
	Name string `json:"name"`
	UID  string `json:"uid,omitempty"`
}

// claims are what a token says: the current ones below kubernetes.io, the legacy ones beside each other.
type claims struct {
	jwt.RegisteredClaims
	Kubernetes *bindings `json:"kubernetes.io,omitempty"`

	LegacyNamespace  string `json:"kubernetes.io/serviceaccount/namespace,omitempty"`
	LegacySecret     string `json:"kubernetes.io/serviceaccount/secret.name,omitempty"`
	LegacyAccount    string `json:"kubernetes.io/serviceaccount/service-account.name,omitempty"`
	LegacyAccountUID string `json:"kubernetes.io/serviceaccount/service-account.uid,omitempty"`
}

// bindings are what a token lives and dies with.
type bindings struct {
	Namespace      string           `json:"namespace,omitempty"`
	ServiceAccount Reference        `json:"serviceaccount,omitempty"`
	Pod            *Reference       `json:"pod,omitempty"`
	Secret         *Reference       `json:"secret,omitempty"`
	Node           *Reference       `json:"node,omitempty"`
	WarnAfter      *jwt.NumericDate `json:"warnafter,omitempty"`
}

// bound are the bindings of either form; nil when the token says nothing of the kind.
func (c *claims) bound() *bindings {
	if c.Issuer != LegacyIssuer {
		return c.Kubernetes
	}
	if c.LegacyAccount == "" || c.LegacyNamespace == "" || c.LegacySecret == "" {
		return nil
	}
	return &bindings{
		Namespace:      c.LegacyNamespace,
		ServiceAccount: Reference{c.LegacyAccount, c.LegacyAccountUID},
		Secret:         &Reference{Name: c.LegacySecret},
	}
}

// userOf is whom a token stands for.
func userOf(c *claims, b *bindings) *user.DefaultInfo {
	info := serviceaccount.ServiceAccountInfo{Name: b.ServiceAccount.Name, Namespace: b.Namespace, UID: b.ServiceAccount.UID}
	if b.Pod != nil {
		info.PodName, info.PodUID = b.Pod.Name, b.Pod.UID
	}
	if b.Node != nil {
		info.NodeName, info.NodeUID = b.Node.Name, b.Node.UID
	}
	if c.ID != "" {
		info.CredentialID = "JTI=" + c.ID
	}
	u := info.UserInfo()
	return &user.DefaultInfo{
		Name: u.GetName(), UID: u.GetUID(), Extra: u.GetExtra(),
		Groups: append(u.GetGroups(), user.AllAuthenticated),
	}
}
