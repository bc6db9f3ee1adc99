package bootstraptokens

import (
	"crypto/subtle"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// How a secret holds a token. Who knows kubeadm knows these names.
const (
	namePrefix = "bootstrap-token-"

	keyID          = "token-id"
	keySecret      = "token-secret"
	keyExpiration  = "expiration"
	keyMayLogIn    = "usage-bootstrap-authentication"
	keyMoreGroups  = "auth-extra-groups"
	userPrefix     = "system:bootstrap:"
	group          = "system:bootstrappers"
	groupOfClients = `^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$`
)

var (
	form      = regexp.MustCompile(`^([a-z0-9]{6})\.([a-z0-9]{16})$`)
	groupForm = regexp.MustCompile(groupOfClients)
)

// split takes a bearer token apart; it is not ok when it has another form.
func split(bearer string) (id, secret string, ok bool) {
	parts := form.FindStringSubmatch(bearer)
	if parts == nil {
		return "", "", false
	}
	return parts[1], parts[2], true
}

func isToken(s *corev1.Secret) bool {
	return s.Namespace == metav1.NamespaceSystem && s.Type == corev1.SecretTypeBootstrapToken
}

// check tells why s does not let in who shows id and secret; nil when it does.
func check(s *corev1.Secret, id, secret string, now time.Time) error {
	expiry, expires := expiryOf(s)
	switch {
	case !isToken(s):
		return fmt.Errorf("it is of type %q", s.Type)
	case s.DeletionTimestamp != nil:
		return fmt.Errorf("it is being deleted")
	case subtle.ConstantTimeCompare(s.Data[keySecret], []byte(secret)) != 1:
		return fmt.Errorf("%s is another one", keySecret)
	case string(s.Data[keyID]) != id:
		return fmt.Errorf("%s is another one", keyID)
	case expires && !expiry.After(now):
		return fmt.Errorf("it has expired")
	case string(s.Data[keyMayLogIn]) != "true":
		return fmt.Errorf("%s is not true", keyMayLogIn)
	}
	return nil
}

// expiryOf is when a token ends, if it does. One whose end cannot be read has ended long ago.
func expiryOf(s *corev1.Secret) (at time.Time, expires bool) {
	text := string(s.Data[keyExpiration])
	if text == "" {
		return time.Time{}, false
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, true
	}
	return at, true
}

// groupsOf are the groups of who shows the token of s. A secret can give groups of bootstrappers and no others.
func groupsOf(s *corev1.Secret) ([]string, error) {
	groups := []string{group}
	if more := string(s.Data[keyMoreGroups]); more != "" {
		for name := range strings.SplitSeq(more, ",") {
			if !groupForm.MatchString(name) {
				return nil, fmt.Errorf("%s holds %q, which does not match %s", keyMoreGroups, name, groupOfClients)
			}
			groups = append(groups, name)
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups), nil
}
