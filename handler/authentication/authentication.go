package authentication

import (
	"fmt"
	"net/http"
	"slices"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/metrics"
)

// Config says which credentials are accepted. Its zero value accepts none.
type Config struct {
	// ClientCA verifies users' client certificates.
	ClientCA CASource
	// RequestHeader trusts a front proxy to name its users.
	RequestHeader RequestHeader
	// TokenFile is a CSV file of static bearer tokens: token,user,uid[,"group1,group2"].
	TokenFile string
	// ServiceAccounts verifies tokens that were issued; nil knows none.
	ServiceAccounts authenticator.Token
	// BootstrapTokens verifies tokens of programs that have nothing else yet; nil knows none.
	BootstrapTokens authenticator.Token
	// LoopbackToken is the bearer token of the server's own client, which is system:apiserver.
	LoopbackToken string
	// Audiences are those that a token of ours is good for; default https://kubernetes.default.svc.
	Audiences []string
	// Anonymous lets requests without credentials through as system:anonymous, for AnonymousPaths only.
	Anonymous bool
	// AnonymousPaths are exact paths; default DefaultAnonymousPaths.
	AnonymousPaths []string
	Metrics        *metrics.Authentication
}

// New returns the authenticator of all credentials that cfg accepts: loopback, front proxy, client certificate,
// bearer token, bearer token of a WebSocket, and anonymous for who has none of them (contract 4.1).
//
// The responses are shared by all requests of one identity and must not be changed.
func New(cfg Config) (authenticator.Request, error) {
	if cfg.Audiences == nil {
		cfg.Audiences = []string{"https://kubernetes.default.svc"}
	}
	u := &union{}
	if cfg.LoopbackToken != "" {
		own := newTokens(cfg.Audiences)
		own.add(cfg.LoopbackToken, loopbackUser())
		u.steps = append(u.steps, bearer{tokens: own, passOver: true})
	}
	if cfg.RequestHeader.CA != nil {
		h, err := newRequestHeader(cfg.RequestHeader)
		if err != nil {
			return nil, fmt.Errorf("reading the front proxy's headers: %w", err)
		}
		u.steps = append(u.steps, h)
		u.proxied = h
	}
	if cfg.ClientCA != nil {
		u.steps = append(u.steps, newClientCertificate(cfg.ClientCA, cfg.Metrics))
	}
	tokens := newTokens(cfg.Audiences)
	if cfg.TokenFile != "" {
		if err := tokens.readFile(cfg.TokenFile); err != nil {
			return nil, fmt.Errorf("reading the token file %s: %w", cfg.TokenFile, err)
		}
	}
	known := tokenUnion{tokens}
	if cfg.ServiceAccounts != nil {
		known = append(known, cfg.ServiceAccounts)
	}
	if cfg.BootstrapTokens != nil {
		known = append(known, authenticator.WrapAudienceAgnosticToken(cfg.Audiences, cfg.BootstrapTokens))
	}
	// Even without any token these two stay: who shows an unknown one is refused and not anonymous.
	u.steps = append(u.steps, bearer{tokens: known}, webSocketBearer{tokens: known})
	if len(u.steps) > maxSteps {
		panic("authentication: more kinds of credentials than errors can be kept of")
	}
	if cfg.Anonymous {
		u.anonymous = newAnonymous(cfg.AnonymousPaths)
	}
	return u, nil
}

// union tries each kind of credential in turn. An error does not end it, because a certificate that one authority
// rejects may be another's; but after an error nobody becomes anonymous.
type union struct {
	steps     []authenticator.Request
	proxied   *requestHeader
	anonymous *anonymous
}

// maxSteps is how many kinds of credentials there are.
const maxSteps = 5

func (u *union) AuthenticateRequest(r *http.Request) (*authenticator.Response, bool, error) {
	// On the stack: a user's certificate is always an error for the front proxy's authority.
	var errs [maxSteps]error
	failed := 0
	for _, step := range u.steps {
		response, ok, err := step.AuthenticateRequest(r)
		if err != nil {
			errs[failed] = err
			failed++
			continue
		}
		if ok {
			if u.proxied != nil {
				u.proxied.hide(r.Header)
			}
			hideWebSocketToken(r.Header)
			return response, true, nil
		}
	}
	if failed > 0 {
		return nil, false, utilerrors.NewAggregate(slices.Clone(errs[:failed]))
	}
	if u.anonymous != nil {
		return u.anonymous.AuthenticateRequest(r)
	}
	return nil, false, nil
}

// withAuthenticated returns groups and, unless they already tell whether name is known, system:authenticated.
func withAuthenticated(name string, groups []string) []string {
	if name == user.Anonymous || slices.Contains(groups, user.AllAuthenticated) || slices.Contains(groups, user.AllUnauthenticated) {
		return groups
	}
	return append(slices.Clip(groups), user.AllAuthenticated)
}
