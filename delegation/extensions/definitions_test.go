package extensions

import (
	"context"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func TestARequestThatEndsDoesNotWaitForItsTurn(t *testing.T) {
	waiting := make(turn, 1)
	waiting <- struct{}{} // somebody else's
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rules := func(_, _ *apiextensions.CustomResourceDefinition) field.ErrorList {
		t.Error("it had its turn")
		return nil
	}
	if problems := waiting.checked(ctx, rival("a", "1", false), nil, rules); len(problems) != 1 || problems[0].Type != field.ErrorTypeInternal {
		t.Errorf("got %v", problems)
	}
	<-waiting
	if problems := waiting.checked(t.Context(), rival("a", "1", false), nil, func(_, _ *apiextensions.CustomResourceDefinition) field.ErrorList { return nil }); problems != nil || len(waiting) != 0 {
		t.Errorf("got %v, and the turn is taken by %d", problems, len(waiting))
	}
}
