package bootstraptokens

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	id, secret = "abcdef", "0123456789abcdef"
	good       = id + "." + secret
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// token is a good one, changed.
func token(change func(s *corev1.Secret)) *corev1.Secret {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: namePrefix + id},
		Type:       corev1.SecretTypeBootstrapToken,
		Data:       map[string][]byte{keyID: []byte(id), keySecret: []byte(secret), keyMayLogIn: []byte("true")},
	}
	if change != nil {
		change(s)
	}
	return s
}

func set(key, value string) func(*corev1.Secret) {
	return func(s *corev1.Secret) { s.Data[key] = []byte(value) }
}

func TestATokenLetsItsBearerIn(t *testing.T) {
	for _, c := range []struct {
		name   string
		bearer string
		secret *corev1.Secret // nil: there is none
		groups string         // empty: no opinion
	}{
		{"a good one", good, token(nil), "system:bootstrappers"},
		{"with more groups", good, token(set(keyMoreGroups, "system:bootstrappers:b,system:bootstrappers:a:1,system:bootstrappers:b")), "system:bootstrappers system:bootstrappers:a:1 system:bootstrappers:b"},
		{"that ends later", good, token(set(keyExpiration, "2026-01-02T03:04:06Z")), "system:bootstrappers"},
		{"that has ended", good, token(set(keyExpiration, "2026-01-02T03:04:05Z")), ""},
		{"whose end cannot be read", good, token(set(keyExpiration, "tomorrow")), ""},
		{"of another form", "ABCDEF." + secret, token(nil), ""},
		{"with more behind it", good + "\n", token(nil), ""},
		{"that is not there", good, nil, ""},
		{"with another secret", id + ".fedcba9876543210", token(nil), ""},
		{"in a secret of another name", good, token(set(keyID, "ghijkl")), ""},
		{"for other uses", good, token(set(keyMayLogIn, "false")), ""},
		{"of another type", good, token(func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque }), ""},
		{"that is being deleted", good, token(func(s *corev1.Secret) { s.DeletionTimestamp = &metav1.Time{Time: now} }), ""},
		{"that would give rights", good, token(set(keyMoreGroups, "system:masters")), ""},
		{"that would give rights beside others", good, token(set(keyMoreGroups, "system:bootstrappers:a,system:masters")), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := NewAuthenticator(func(_ context.Context, name string) (*corev1.Secret, error) {
				if c.secret == nil || name != c.secret.Name {
					return nil, apierrors.NewNotFound(corev1.Resource("secrets"), name)
				}
				return c.secret, nil
			})
			a.now = func() time.Time { return now }
			response, ok, err := a.AuthenticateToken(t.Context(), c.bearer)
			if err != nil || ok != (c.groups != "") {
				t.Fatalf("got %v, %v, want groups %q", ok, err, c.groups)
			}
			if !ok {
				return
			}
			if got := response.User; got.GetName() != "system:bootstrap:abcdef" || !slices.Equal(got.GetGroups(), append(strings.Fields(c.groups), "system:authenticated")) {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestASecretThatCannotBeReadIsAnError(t *testing.T) {
	a := NewAuthenticator(func(context.Context, string) (*corev1.Secret, error) { return nil, errors.New("down") })
	if _, ok, err := a.AuthenticateToken(t.Context(), good); ok || err == nil {
		t.Errorf("got %v, %v", ok, err)
	}
	if _, ok, err := a.AuthenticateToken(t.Context(), "something else"); ok || err != nil {
		t.Errorf("a token of another form is none of ours: got %v, %v", ok, err)
	}
}
