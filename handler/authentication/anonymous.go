package authentication

import (
	"net/http"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
)

// DefaultAnonymousPaths are what a probe and a client that looks for its server may ask without credentials.
var DefaultAnonymousPaths = []string{"/healthz", "/livez", "/readyz", "/version", "/version/"}

// anonymous is who has shown no credentials at all, on the paths where that is enough.
type anonymous struct {
	paths    map[string]struct{}
	response *authenticator.Response
}

func newAnonymous(paths []string) *anonymous {
	if paths == nil {
		paths = DefaultAnonymousPaths
	}
	a := &anonymous{
		paths:    map[string]struct{}{},
		response: &authenticator.Response{User: &user.DefaultInfo{Name: user.Anonymous, Groups: []string{user.AllUnauthenticated}}},
	}
	for _, path := range paths {
		a.paths[path] = struct{}{}
	}
	return a
}

func (a *anonymous) AuthenticateRequest(r *http.Request) (*authenticator.Response, bool, error) {
	if _, ok := a.paths[r.URL.Path]; !ok {
		return nil, false, nil
	}
	return a.response, true, nil
}
