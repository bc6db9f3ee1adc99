package authentication

import (
	"net/http"
	"strings"

	"k8s.io/apiserver/pkg/authentication/authenticator"

	"github.com/portico-api/portico/handler"
)

// bearer knows users by the token in "Authorization: Bearer <token>".
type bearer struct {
	tokens authenticator.Token
	// passOver leaves tokens it does not know to others, instead of refusing them.
	passOver bool
}

func (b bearer) AuthenticateRequest(r *http.Request) (*authenticator.Response, bool, error) {
	header := r.Header["Authorization"]
	if len(header) == 0 {
		return nil, false, nil
	}
	scheme, rest, ok := strings.Cut(strings.TrimSpace(header[0]), " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return nil, false, nil
	}
	token, _, more := strings.Cut(rest, " ")
	if token == "" {
		if more && !b.passOver { // once is enough
			handler.AddWarning(r.Context(), "the Authorization header has extra spaces before the bearer token, which is ignored")
		}
		return nil, false, nil
	}
	response, ok, err := b.tokens.AuthenticateToken(r.Context(), token)
	if !ok && err == nil && !b.passOver {
		err = errInvalidToken
	}
	return response, ok, err
}
