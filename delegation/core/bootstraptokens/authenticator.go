package bootstraptokens

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/klog/v2"
)

// Authenticator knows users by tokens in secrets.
type Authenticator struct {
	read func(ctx context.Context, name string) (*corev1.Secret, error)
	now  func() time.Time
}

// NewAuthenticator returns an authenticator of tokens whose secrets are read by name from kube-system.
func NewAuthenticator(read func(ctx context.Context, name string) (*corev1.Secret, error)) *Authenticator {
	return &Authenticator{read: read, now: time.Now}
}

// AuthenticateToken has no opinion on any other token than a good one: whose form is right by chance may be somebody else's. Why it
// is not good is for the log only.
func (a *Authenticator) AuthenticateToken(ctx context.Context, bearer string) (*authenticator.Response, bool, error) {
	id, secret, ok := split(bearer)
	if !ok {
		return nil, false, nil
	}
	s, err := a.read(ctx, namePrefix+id)
	switch {
	case apierrors.IsNotFound(err):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("reading the secret of bootstrap token %s: %w", id, err)
	}
	if err := check(s, id, secret, a.now()); err != nil {
		klog.FromContext(ctx).V(3).Info("Refusing a bootstrap token", "secret", s.Name, "reason", err)
		return nil, false, nil
	}
	groups, err := groupsOf(s)
	if err != nil {
		klog.FromContext(ctx).V(3).Info("Refusing a bootstrap token", "secret", s.Name, "reason", err)
		return nil, false, nil
	}
	return &authenticator.Response{User: &user.DefaultInfo{Name: userPrefix + id, Groups: append(groups, user.AllAuthenticated)}}, true, nil
}
