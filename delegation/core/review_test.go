package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/delegation/core"
	"github.com/portico-api/portico/handler/authorization"
	"github.com/portico-api/portico/handler/rest"
)

// oneToken knows one token, whose user is good for the audiences api and vault.
func oneToken(r *http.Request) (*authenticator.Response, bool, error) {
	if r.Header.Get("Authorization") != "Bearer good" {
		return nil, false, errors.New("invalid bearer token")
	}
	response := &authenticator.Response{
		User:      &user.DefaultInfo{Name: "alice", UID: "1", Groups: []string{"dev"}, Extra: map[string][]string{"scope": {"a"}}},
		Audiences: authenticator.Audiences{"api", "vault"},
	}
	if wanted, ok := authenticator.AudiencesFrom(r.Context()); ok {
		response.Audiences = response.Audiences.Intersect(wanted)
	}
	return response, true, nil
}

// ask creates a review of the named resource, given in JSON, and returns the status in JSON.
func ask(t *testing.T, ctx context.Context, resource, namespace, question string) (string, error) {
	t.Helper()
	rbac := authorization.NewRBAC()
	rbac.SetClusterRole(&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: []rbacv1.PolicyRule{
		policyRule("get", "", "pods"), {Verbs: []string{"get"}, NonResourceURLs: []string{"/metrics"}},
	}})
	for name, role := range map[string]string{"b1": "reader", "b2": "absent"} {
		rbac.SetClusterRoleBinding(&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: role},
			Subjects: []rbacv1.Subject{{Kind: "Group", Name: "dev"}},
		})
	}
	authorizer, err := authorization.New(authorization.Config{RBAC: rbac})
	if err != nil {
		t.Fatal(err)
	}
	scheme, err := core.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range core.ReviewResources(scheme, authenticator.RequestFunc(oneToken), authorizer, authorizer) {
		if r.Name != resource {
			continue
		}
		obj := r.New()
		if err := json.Unmarshal([]byte(question), obj); err != nil {
			t.Fatal(err)
		}
		answer, err := r.Storage.(rest.Creater).Create(ctx, namespace, "", obj, &metav1.CreateOptions{})
		if err != nil {
			return "", err
		}
		return statusOf(t, answer), nil
	}
	t.Fatalf("no resource %q", resource)
	return "", nil
}

func statusOf(t *testing.T, obj runtime.Object) string {
	t.Helper()
	text, err := json.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	var parts struct{ Status json.RawMessage }
	if err := json.Unmarshal(text, &parts); err != nil {
		t.Fatal(err)
	}
	return string(parts.Status)
}

func TestReviewsAnswerInTheirStatus(t *testing.T) {
	ctx := as(t, &user.DefaultInfo{Name: "bob", UID: "2", Groups: []string{"dev", user.AllAuthenticated}, Extra: map[string][]string{"k": {"v"}}})
	missing := `RBAC: clusterrole.rbac.authorization.k8s.io \"absent\" not found`
	allowed := `"reason":"RBAC: allowed by ClusterRoleBinding \"b1\" of ClusterRole \"reader\" to Group \"dev\""`
	for _, c := range []struct {
		name, resource, namespace, question, want string
	}{
		{"a good token tells its user and what it is good for", "tokenreviews", "", `{"spec":{"token":"good"}}`,
			`{"authenticated":true,"user":{"username":"alice","uid":"1","groups":["dev"],"extra":{"scope":["a"]}},"audiences":["api","vault"]}`},
		{"a good token for one of the audiences asked for", "tokenreviews", "", `{"spec":{"token":"good","audiences":["vault","x"]}}`,
			`{"authenticated":true,"user":{"username":"alice","uid":"1","groups":["dev"],"extra":{"scope":["a"]}},"audiences":["vault"]}`},
		{"a good token for none of them", "tokenreviews", "", `{"spec":{"token":"good","audiences":["x"]}}`, `{"user":{}}`},
		{"a bad token is an answer", "tokenreviews", "", `{"spec":{"token":"bad"}}`, `{"user":{},"error":"invalid bearer token"}`},
		{"a status that the asker made up is forgotten", "tokenreviews", "", `{"spec":{"token":"bad"},"status":{"authenticated":true,"user":{"username":"root"}}}`,
			`{"user":{},"error":"invalid bearer token"}`},
		{"who am I", "selfsubjectreviews", "", `{}`,
			`{"userInfo":{"username":"bob","uid":"2","groups":["dev","system:authenticated"],"extra":{"k":["v"]}}}`},

		{"a group may", "subjectaccessreviews", "", `{"spec":{"groups":["dev"],"resourceAttributes":{"verb":"get","resource":"pods","namespace":"demo"}}}`,
			`{"allowed":true,` + allowed + `}`},
		{"a user may not, and why", "subjectaccessreviews", "", `{"spec":{"user":"x","groups":["dev"],"resourceAttributes":{"verb":"delete","resource":"pods"}}}`,
			`{"allowed":false,"reason":"` + missing + `"}`},
		{"a path", "subjectaccessreviews", "", `{"spec":{"groups":["dev"],"nonResourceAttributes":{"verb":"get","path":"/metrics"}}}`, `{"allowed":true,` + allowed + `}`},
		{"system:masters may", "subjectaccessreviews", "", `{"spec":{"groups":["system:masters"],"resourceAttributes":{"verb":"delete","resource":"pods"}}}`, `{"allowed":true}`},
		{"may I", "selfsubjectaccessreviews", "", `{"spec":{"resourceAttributes":{"verb":"get","resource":"pods"}}}`, `{"allowed":true,` + allowed + `}`},
		{"may somebody in a namespace", "localsubjectaccessreviews", "demo", `{"spec":{"groups":["dev"],"resourceAttributes":{"namespace":"demo","verb":"get","resource":"pods"}}}`,
			`{"allowed":true,` + allowed + `}`},
		{"what may I", "selfsubjectrulesreviews", "", `{"spec":{"namespace":"demo"}}`,
			`{"resourceRules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}],"nonResourceRules":[{"verbs":["get"],"nonResourceURLs":["/metrics"]}],` +
				`"incomplete":false,"evaluationError":"some of the rules could not be resolved: clusterrole.rbac.authorization.k8s.io \"absent\" not found"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ask(t, ctx, c.resource, c.namespace, c.question)
			if err != nil || got != c.want {
				t.Errorf("%s\ngot  %s, %v\nwant %s", c.question, got, err, c.want)
			}
		})
	}
}

func TestWhoHasNoRulesIsToldSoByEmptyLists(t *testing.T) {
	got, err := ask(t, as(t, &user.DefaultInfo{Name: "nobody"}), "selfsubjectrulesreviews", "", `{"spec":{"namespace":"demo"}}`)
	if want := `{"resourceRules":[],"nonResourceRules":[],"incomplete":false}`; err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestUnclearReviewsAreRefused(t *testing.T) {
	attributes := `"resourceAttributes":{"verb":"get","resource":"pods","namespace":"demo"}`
	path := `"nonResourceAttributes":{"verb":"get","path":"/"}`
	for _, c := range []struct {
		name, resource, namespace, question string
		code                                int32
		want                                string
	}{
		{"no token", "tokenreviews", "", `{}`, 400, "token is required for TokenReview in authentication"},
		{"neither resource nor path", "subjectaccessreviews", "", `{"spec":{"user":"x"}}`, 422, "exactly one of nonResourceAttributes or resourceAttributes must be specified"},
		{"both resource and path", "selfsubjectaccessreviews", "", `{"spec":{` + attributes + `,` + path + `}}`, 422, "cannot be specified in combination with resourceAttributes"},
		{"nobody asked about", "subjectaccessreviews", "", `{"spec":{` + attributes + `}}`, 422, "at least one of user or group must be specified"},
		{"metadata", "subjectaccessreviews", "", `{"metadata":{"name":"x"},"spec":{"user":"x",` + attributes + `}}`, 422, "must be empty"},
		{"another namespace than the path's", "localsubjectaccessreviews", "other", `{"spec":{"user":"x",` + attributes + `}}`, 422, "must match metadata.namespace"},
		{"a path in a namespace", "localsubjectaccessreviews", "demo", `{"spec":{"user":"x",` + path + `}}`, 422, "disallowed on this kind of request"},
		{"rules without a namespace", "selfsubjectrulesreviews", "", `{}`, 400, "no namespace on request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ask(t, as(t, &user.DefaultInfo{Name: "bob"}), c.resource, c.namespace, c.question)
			var status apierrors.APIStatus
			if !errors.As(err, &status) || status.Status().Code != c.code || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %d with %q", c.question, err, c.code, c.want)
			}
		})
	}
}

func TestSelectorsOfAReviewAreChecked(t *testing.T) {
	review := func(selector string) error {
		_, err := ask(t, t.Context(), "subjectaccessreviews", "", `{"spec":{"user":"u","resourceAttributes":{"verb":"list","resource":"pods",`+selector+`}}}`)
		return err
	}
	for selector, field := range map[string]string{
		`"fieldSelector":{}`: "spec.resourceAttributes.fieldSelector.requirements",
		`"fieldSelector":{"rawSelector":"a=b","requirements":[{"key":"a","operator":"Exists"}]}`: "spec.resourceAttributes.fieldSelector.rawSelector",
		`"labelSelector":{"requirements":[{"key":"","operator":"In","values":["x"]}]}`:           "spec.resourceAttributes.labelSelector.requirements[0].key",
		`"labelSelector":{"requirements":[{"key":"a","operator":"In"}]}`:                         "spec.resourceAttributes.labelSelector.requirements[0].values",
		`"labelSelector":{"requirements":[{"key":"a","operator":"Near"}]}`:                       "spec.resourceAttributes.labelSelector.requirements[0].operator",
	} {
		if err := review(selector); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: got %v, want invalid %s", selector, err, field)
		}
	}
	if err := review(`"labelSelector":{"requirements":[{"key":"a","operator":"Exists"}]}`); err != nil {
		t.Error(err)
	}
}
