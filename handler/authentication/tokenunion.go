package authentication

import (
	"context"

	"k8s.io/apiserver/pkg/authentication/authenticator"
)

// tokenUnion asks who may know a token in turn. An error ends it: who knows that a token is bad knows the token.
type tokenUnion []authenticator.Token

func (u tokenUnion) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	for _, tokens := range u {
		if response, ok, err := tokens.AuthenticateToken(ctx, token); ok || err != nil {
			return response, ok, err
		}
	}
	return nil, false, nil
}
