package filters_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

func TestForbidden(t *testing.T) {
	c := config()
	c.Authorizer = authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
		return authorizer.DecisionNoOpinion, "", nil
	})
	for target, want := range map[string]string{
		"/apis/g/v/namespaces/n/things/x": `things.g "x" is forbidden: User "someone" cannot get resource "things" in API group "g" in the namespace "n"`,
		"/apis/g/v/things":                `things.g is forbidden: User "someone" cannot list resource "things" in API group "g" at the cluster scope`,
		"/api/v1/nodes/x/status":          `nodes "x" is forbidden: User "someone" cannot get resource "nodes/status" in API group "" at the cluster scope`,
		"/version":                        `forbidden: User "someone" cannot get path "/version"`,
	} {
		w := ask(t, ok, c, "GET", target)
		if s := status(t, w); w.Code != 403 || s.Message != want || s.Reason != metav1.StatusReasonForbidden || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("GET %s = %d %q, want 403 %q", target, w.Code, s.Message, want)
		}
	}
	c.Authorizer = authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
		return authorizer.DecisionNoOpinion, "because", nil
	})
	if s := status(t, ask(t, ok, c, "GET", "/version")); s.Message != `forbidden: User "someone" cannot get path "/version": because` {
		t.Errorf("got %q, want the reason after the message", s.Message)
	}
	for decision, want := range map[authorizer.Decision]int{authorizer.DecisionAllow: 200, authorizer.DecisionNoOpinion: 500} {
		c.Authorizer = authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
			return decision, "", errors.New("a rule is broken")
		})
		if w := ask(t, ok, c, "GET", "/version"); w.Code != want || strings.Contains(w.Body.String(), "broken") {
			t.Errorf("%v with an error is answered %d %s, want %d", decision, w.Code, w.Body, want)
		}
	}
}
