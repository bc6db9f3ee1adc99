package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// asToken is a client that shows a token.
func (p *portico) asToken(t *testing.T, token string) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: p.url, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAFile: p.pki("ca.crt")}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// whoami is whom the server takes the holder of a token for, or why it does not know.
func (p *portico) whoami(t *testing.T, token string) string {
	t.Helper()
	review, err := p.asToken(t, token).AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if apierrors.IsUnauthorized(err) {
		return "nobody"
	}
	if err != nil {
		t.Fatal(err)
	}
	return review.Status.UserInfo.Username
}

const robot = "system:serviceaccount:default:robot"

func TestAServiceAccountsTokenOpensTheDoorUntilTheAccountGoes(t *testing.T) {
	p := startPortico(t)
	p.kubectl(t, "create", "serviceaccount", "robot")
	p.kubectl(t, "create", "secret", "generic", "sealed")
	token := strings.TrimSpace(p.kubectl(t, "create", "token", "robot", "--duration=20m"))
	bound := strings.TrimSpace(p.kubectl(t, "create", "token", "robot", "--bound-object-kind=Secret", "--bound-object-name=sealed"))
	for name, shown := range map[string]string{"a token": token, "a bound token": bound} {
		if got := p.whoami(t, shown); got != robot {
			t.Errorf("%s is %q's", name, got)
		}
	}

	maps := p.asToken(t, token).CoreV1().ConfigMaps("default")
	if _, err := maps.List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("before it was bound to a role: got %v", err)
	}
	p.kubectl(t, "create", "rolebinding", "robot", "--clusterrole=view", "--serviceaccount=default:robot")
	if _, err := maps.List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("bound to a role: got %v", err)
	}

	p.kubectl(t, "delete", "secret", "sealed")
	if got := p.whoami(t, bound); got != "nobody" {
		t.Errorf("without its secret the bound token is %q's", got)
	}
	p.interrupt(t)
	p.wait(t)
	p = restartPortico(t, p.dataDir)
	if got := p.whoami(t, token); got != robot {
		t.Errorf("after a restart the token is %q's", got)
	}
	p.kubectl(t, "delete", "serviceaccount", "robot")
	if got := p.whoami(t, token); got != "nobody" {
		t.Errorf("without its account the token is %q's", got)
	}
	p.kubectl(t, "create", "serviceaccount", "robot")
	if got := p.whoami(t, token); got != "nobody" {
		t.Errorf("the token of an earlier account of that name is %q's", got)
	}
}

// A token that a pod or a node was given dies with it, although nobody runs either.
func TestATokenCanBeBoundToAPod(t *testing.T) {
	p := startPortico(t, "--workload-apis")
	p.kubectl(t, "create", "serviceaccount", "robot")
	p.kubectl(t, "run", "worker", "--image=none", `--overrides={"spec":{"serviceAccountName":"robot"}}`)
	token := strings.TrimSpace(p.kubectl(t, "create", "token", "robot", "--bound-object-kind=Pod", "--bound-object-name=worker"))
	if got := p.whoami(t, token); got != robot {
		t.Errorf("the pod's token is %q's", got)
	}
	p.kubectl(t, "create", "serviceaccount", "other")
	if _, errs, err := p.tryKubectl(t, "", "create", "token", "other", "--bound-object-kind=Pod", "--bound-object-name=worker"); err == nil ||
		!strings.Contains(errs, `cannot bind token for serviceaccount "other" to pod running with different serviceaccount name`) {
		t.Errorf("another account's token for the pod: %v %s", err, errs)
	}
	if _, errs, err := p.tryKubectl(t, "", "exec", "worker", "--", "ls"); err == nil || !strings.Contains(errs, "this server stores pods and runs none") {
		t.Errorf("exec: %v %s", err, errs)
	}
	p.kubectl(t, "delete", "pod", "worker")
	if got := p.whoami(t, token); got != "nobody" {
		t.Errorf("without its pod the token is %q's", got)
	}
}

func TestATokenIsRefusedWithTheFieldThatIsWrong(t *testing.T) {
	p := startPortico(t, "--service-account-max-token-expiration=2h")
	p.kubectl(t, "create", "serviceaccount", "robot")
	p.kubectl(t, "create", "secret", "generic", "sealed")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"too short":              {[]string{"--duration=1m"}, "spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes"},
		"bound to nothing":       {[]string{"--bound-object-kind=Secret", "--bound-object-name=none"}, `secrets "none" not found`},
		"bound to another":       {[]string{"--bound-object-kind=Secret", "--bound-object-name=sealed", "--bound-object-uid=other"}, "does not match the UID in record"},
		"of nobody":              {[]string{"-n", "kube-system"}, `serviceaccounts "robot" not found`},
		"longer than is allowed": {[]string{"--duration=3h"}, "requested expiration of 10800 seconds shortened to 7200 seconds"},
	} {
		out, errs, _ := p.tryKubectl(t, "", append([]string{"create", "token", "robot"}, c.args...)...)
		if !strings.Contains(errs, c.want) {
			t.Errorf("%s: got %s%s, want %q", name, out, errs, c.want)
		}
	}
	alice := p.as(t, "alice")
	if _, errs, err := alice.tryKubectl(t, "", "create", "token", "robot"); err == nil || !strings.Contains(errs, `cannot create resource "serviceaccounts/token"`) {
		t.Errorf("alice, who may not: %v %s", err, errs)
	}
	p.kubectl(t, "create", "rolebinding", "alice", "--clusterrole=edit", "--user=alice")
	alice.kubectl(t, "create", "token", "robot")
}

func TestAReviewTellsTheAudiencesOfAToken(t *testing.T) {
	p := startPortico(t)
	p.kubectl(t, "create", "serviceaccount", "robot")
	token := strings.TrimSpace(p.kubectl(t, "create", "token", "robot", "--audience=theirs"))
	if got := p.whoami(t, token); got != "nobody" {
		t.Errorf("a token for others is %q's", got)
	}
	g := newGarden(t, p)
	for audience, want := range map[string]bool{"theirs": true, "others": false} {
		review, err := g.client.AuthenticationV1().TokenReviews().Create(t.Context(),
			&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{audience}}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s := review.Status
		if s.Authenticated != want || want && (s.User.Username != robot || !slices.Equal(s.Audiences, []string{"theirs"})) {
			t.Errorf("asked for %s: got %+v", audience, s)
		}
	}
}

// Whoever has the address and the documents can verify a token, as OpenID Connect says.
func TestOthersCanVerifyATokenByTheDocuments(t *testing.T) {
	p := startPortico(t, "--external-hostname=localhost")
	p.kubectl(t, "create", "serviceaccount", "robot")
	token := strings.TrimSpace(p.kubectl(t, "create", "token", "robot", "--audience=theirs"))
	var configuration struct {
		Issuer     string   `json:"issuer"`
		KeysURI    string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	p.document(t, p.url+"/.well-known/openid-configuration", "application/json", &configuration)
	if !strings.HasPrefix(configuration.KeysURI, "https://localhost:") {
		t.Errorf("the keys are said to be at %s", configuration.KeysURI)
	}
	var set struct {
		Keys []struct{ Kid, Kty, Crv, Alg, Use, X, Y string }
	}
	p.document(t, configuration.KeysURI, "application/jwk-set+json", &set)
	if len(set.Keys) != 1 || set.Keys[0].Kty != "EC" || set.Keys[0].Use != "sig" {
		t.Fatalf("the keys are %+v", set.Keys)
	}
	parsed, err := jwt.NewParser(jwt.WithValidMethods(configuration.Algorithms), jwt.WithIssuer(configuration.Issuer), jwt.WithAudience("theirs"), jwt.WithSubject(robot)).
		Parse(token, func(token *jwt.Token) (any, error) {
			if token.Header["kid"] != set.Keys[0].Kid {
				t.Errorf("the token names key %v of %+v", token.Header["kid"], set.Keys)
			}
			x, _ := base64.RawURLEncoding.DecodeString(set.Keys[0].X)
			y, _ := base64.RawURLEncoding.DecodeString(set.Keys[0].Y)
			return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
		})
	if err != nil || !parsed.Valid {
		t.Errorf("verifying by the documents: %v", err)
	}
	if _, _, err := p.as(t, "alice").tryKubectl(t, "", "get", "--raw", "/openid/v1/jwks"); err == nil {
		t.Error("alice reads the keys without a role for it")
	}
}

func (p *portico) document(t *testing.T, url, contentType string, into any) {
	t.Helper()
	response, err := p.client(t).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != contentType || response.Header.Get("Cache-Control") != "public, max-age=3600" {
		t.Errorf("%s: got %s, %v", url, response.Status, response.Header)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// Secrets of the old type are filled for who asks for one, and go with the account.
func TestASecretThatAsksForATokenGetsOne(t *testing.T) {
	p := startPortico(t)
	p.kubectl(t, "create", "serviceaccount", "robot")
	g := newGarden(t, p)
	secrets := g.client.CoreV1().Secrets("default")
	asking := func(name, account string) {
		t.Helper()
		_, err := secrets.Create(t.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{corev1.ServiceAccountNameKey: account}},
			Type:       corev1.SecretTypeServiceAccountToken,
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	gone := func(name string) func() bool {
		return func() bool {
			_, err := secrets.Get(t.Context(), name, metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		}
	}
	asking("of-robot", "robot")
	asking("of-nobody", "nobody")
	var filled *corev1.Secret
	eventually(t, "the secret is filled", func() (ok bool) {
		var err error
		filled, err = secrets.Get(t.Context(), "of-robot", metav1.GetOptions{})
		return err == nil && len(filled.Data["token"]) > 0
	})
	if string(filled.Data["namespace"]) != "default" || !strings.Contains(string(filled.Data["ca.crt"]), "BEGIN CERTIFICATE") || filled.Annotations[corev1.ServiceAccountUIDKey] == "" {
		t.Errorf("the secret holds %v", filled)
	}
	token := string(filled.Data["token"])
	if got := p.whoami(t, token); got != robot {
		t.Errorf("the token is %q's", got)
	}
	eventually(t, "a secret of no account is deleted", gone("of-nobody"))
	p.kubectl(t, "delete", "serviceaccount", "robot")
	if got := p.whoami(t, token); got != "nobody" {
		t.Errorf("without its account the token is %q's", got)
	}
	eventually(t, "the account's secret is deleted", gone("of-robot"))
}
