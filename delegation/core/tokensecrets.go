package core

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/delegation/controller"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/authentication/serviceaccount"
)

// tokenSecrets fills the secrets that ask for a token of a service account, and deletes them with it (contract 8.4). Such a
// token has no end: it is made for who asks for it and for nobody else.
type tokenSecrets struct {
	accounts, secrets *registry.Store
	issuer            *serviceaccount.Issuer
	trust             TrustSource // nil knows no authority
}

// Run looks at each secret of the type, and at all of an account's when it comes or goes.
func (t *tokenSecrets) Run(ctx context.Context, started func()) error {
	queue := controller.NewQueue("serviceaccount_tokens_secret", t.settle)
	return queue.Run(ctx, 1,
		func(ctx context.Context) error {
			return t.secrets.Follow(ctx, func(change registry.Change) {
				if s := change.Object.(*corev1.Secret); !change.Deleted && s.Type == corev1.SecretTypeServiceAccountToken {
					queue.Add(s.Namespace + "/" + s.Name)
				}
			}, started)
		},
		func(ctx context.Context) error {
			return t.accounts.Follow(ctx, func(change registry.Change) {
				if change.Deleted || change.Old == nil {
					account := change.Object.(*corev1.ServiceAccount)
					t.lookAtAll(ctx, queue, account.Namespace, account.Name)
				}
			}, func() {})
		},
	)
}

func (t *tokenSecrets) lookAtAll(ctx context.Context, queue *controller.Queue, namespace, account string) {
	list, err := t.secrets.List(ctx, namespace, nil)
	if err != nil {
		return // the next change of a secret has it looked at
	}
	for o := range list.Items {
		if strings.Contains(string(o.JSON()), string(corev1.SecretTypeServiceAccountToken)) {
			queue.Add(o.Namespace() + "/" + o.Name())
		}
	}
}

// settle makes one secret right.
func (t *tokenSecrets) settle(ctx context.Context, key string) (again time.Duration, err error) {
	namespace, name, _ := strings.Cut(key, "/")
	secret, err := registry.GetAs[*corev1.Secret](ctx, t.secrets, namespace, name)
	switch {
	case apierrors.IsNotFound(err):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("reading secret %s: %w", key, err)
	case secret.Type != corev1.SecretTypeServiceAccountToken || secret.DeletionTimestamp != nil:
		return 0, nil
	}
	account, err := registry.GetAs[*corev1.ServiceAccount](ctx, t.accounts, namespace, secret.Annotations[corev1.ServiceAccountNameKey])
	uid := secret.Annotations[corev1.ServiceAccountUIDKey]
	switch {
	case err == nil && (uid == "" || uid == string(account.UID)):
		return 0, t.fill(ctx, secret, account)
	case err == nil, apierrors.IsNotFound(err):
		return 0, t.remove(ctx, secret)
	}
	return 0, fmt.Errorf("reading the account of secret %s: %w", key, err)
}

// fill writes what is missing. A token that is there stays: somebody uses it.
func (t *tokenSecrets) fill(ctx context.Context, secret *corev1.Secret, account *corev1.ServiceAccount) error {
	var ca []byte
	if t.trust != nil {
		ca = t.trust.Trust().ServingCA
	}
	if len(secret.Data[corev1.ServiceAccountTokenKey]) > 0 && string(secret.Data[corev1.ServiceAccountRootCAKey]) == string(ca) &&
		len(secret.Data[corev1.ServiceAccountNamespaceKey]) > 0 && secret.Annotations[corev1.ServiceAccountUIDKey] != "" {
		return nil
	}
	token, err := t.issuer.IssueLegacy(account.Namespace, serviceaccount.Reference{Name: account.Name, UID: string(account.UID)}, secret.Name)
	if err != nil {
		return err
	}
	_, err = registry.UpdateAs(ctx, t.secrets, secret.Namespace, secret.Name, func(s *corev1.Secret) error {
		if s.UID != secret.UID || s.Annotations[corev1.ServiceAccountNameKey] != account.Name {
			return nil // another secret has the name now, or this one has another account: that is on its way here
		}
		if s.Data == nil {
			s.Data = map[string][]byte{}
		}
		if len(s.Data[corev1.ServiceAccountTokenKey]) == 0 {
			s.Data[corev1.ServiceAccountTokenKey] = []byte(token)
		}
		if len(ca) > 0 {
			s.Data[corev1.ServiceAccountRootCAKey] = ca
		}
		s.Data[corev1.ServiceAccountNamespaceKey] = []byte(account.Namespace)
		s.Annotations[corev1.ServiceAccountUIDKey] = string(account.UID)
		return nil
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("filling secret %s/%s: %w", secret.Namespace, secret.Name, err)
	}
	return nil
}

// remove deletes a secret whose account is gone, or is another one of its name.
func (t *tokenSecrets) remove(ctx context.Context, secret *corev1.Secret) error {
	_, _, err := t.secrets.Delete(ctx, secret.Namespace, secret.Name, &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &secret.UID}})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting secret %s/%s, whose account is gone: %w", secret.Namespace, secret.Name, err)
	}
	return nil
}
