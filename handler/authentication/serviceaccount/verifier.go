package serviceaccount

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/handler"
)

const (
	// skew is how far our clock and that of another issuer may differ.
	skew = time.Minute
	// mourning is how long a token goes on after the deletion of what it is bound to has begun (contract 4.2).
	mourning = time.Minute
)

// errInvalidated is told to who shows a token of something that is not there any more.
var errInvalidated = errors.New("service account token has been invalidated")

// Config says which tokens are believed.
type Config struct {
	// Issuers are who may have made a token, besides LegacyIssuer.
	Issuers []string
	Keys    []PublicKey
	// Audiences are those that a token must be for, unless the request names others.
	Audiences []string
	Objects   Objects
	Now       func() time.Time // nil is the system's clock
	Metrics   CacheMetrics     // nil observes nothing
}

// CacheMetrics observes how often a signature has to be verified, and how often that was remembered.
type CacheMetrics interface {
	TokenCache(hit bool, err error, took time.Duration)
}

// Objects are what tokens can be bound to, as far as this server knows them at the moment.
type Objects interface {
	// Version is the revision of an object's newest state, without looking into it; ok is false when there is none.
	Version(kind Kind, namespace, name string) (revision int64, ok bool)
	// State is that state.
	State(ctx context.Context, kind Kind, namespace, name string) (State, error)
}

// Kind is a kind of object that tokens can be bound to.
type Kind string

const (
	Account Kind = "ServiceAccount"
	Secret  Kind = "Secret"
	Pod     Kind = "Pod"
	Node    Kind = "Node"
)

// State is what of an object decides whether tokens that are bound to it live.
type State struct {
	UID      string
	Revision int64
	Deleted  time.Time // when its deletion began; zero if it has not
	// Token is the token that a secret holds.
	Token string
	// Account and Node are those of a pod.
	Account, Node string
}

// Verifier believes tokens of our issuers.
type Verifier struct {
	cfg    Config
	parser *jwt.Parser
	cache  *cache
}

// NewVerifier returns a verifier. Without keys it believes nothing.
func NewVerifier(cfg Config) *Verifier {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	var methods []string
	for _, key := range cfg.Keys {
		if name := key.method.Alg(); !slices.Contains(methods, name) {
			methods = append(methods, name)
		}
	}
	return &Verifier{
		cfg: cfg,
		// What the claims mean is settled here, after the signature.
		parser: jwt.NewParser(jwt.WithValidMethods(methods), jwt.WithoutClaimsValidation()),
		cache:  newCache(),
	}
}

// AuthenticateToken implements authenticator.Token. It has no opinion on what is not a token of our issuers.
func (v *Verifier) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	key := digest(token)
	known := v.cache.get(key)
	if known != nil {
		v.observe(true, nil, 0)
	} else {
		start := time.Now()
		var err error
		known, err = v.verify(token)
		if known != nil || err != nil { // else it is not for us to say
			v.observe(false, err, time.Since(start))
		}
		if known == nil || err != nil {
			return nil, false, err
		}
	}
	alive, err := v.refresh(ctx, known, token)
	if err != nil {
		v.cache.remove(key)
		return nil, false, err
	}
	v.cache.put(key, alive)
	return v.respond(ctx, alive)
}

func (v *Verifier) observe(hit bool, err error, took time.Duration) {
	if v.cfg.Metrics != nil {
		v.cfg.Metrics.TokenCache(hit, err, took)
	}
}

// verified is a token whose signature is right.
type verified struct {
	user      *user.DefaultInfo
	audiences authenticator.Audiences
	bindings  *bindings
	legacy    bool
	from, to  time.Time // zero: no limit
	warnAfter time.Time
	usual     *authenticator.Response // for who asks for no audience of his own; nil when it is not for us

	seen []seen // what it is bound to, as it was looked at last
}

// seen is an object that a token is bound to, in one state.
type seen struct {
	kind            Kind
	namespace, name string
	revision        int64
	deleted         time.Time
}

// verify checks who made a token. It returns nil when that was none of our issuers.
func (v *Verifier) verify(token string) (*verified, error) {
	if !v.isOurs(token) {
		return nil, nil
	}
	var c claims
	if err := v.parse(token, &c); err != nil {
		return nil, err
	}
	b := c.bound()
	if b == nil || b.ServiceAccount.Name == "" || b.Namespace == "" {
		return nil, errors.New("the token names no service account")
	}
	if c.Subject != serviceaccount.MakeUsername(b.Namespace, b.ServiceAccount.Name) {
		return nil, errors.New("the subject of the token is not the service account that it names")
	}
	k := &verified{user: userOf(&c, b), bindings: b, audiences: authenticator.Audiences(c.Audience), legacy: c.Issuer == LegacyIssuer}
	if k.legacy {
		k.audiences = v.cfg.Audiences // they name none
	}
	if c.NotBefore != nil {
		k.from = c.NotBefore.Time
	}
	if c.ExpiresAt != nil {
		k.to = c.ExpiresAt.Time
	} else if !k.legacy {
		return nil, errors.New("the token has no end")
	}
	if b.WarnAfter != nil {
		k.warnAfter = b.WarnAfter.Time
	}
	if both := k.audiences.Intersect(v.cfg.Audiences); len(both) > 0 {
		k.usual = &authenticator.Response{Audiences: both, User: k.user}
	}
	return k, nil
}

// isOurs reads the issuer of what may be a token of somebody else.
func (v *Verifier) isOurs(token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return false
	}
	var said struct {
		Issuer string `json:"iss"`
	}
	return json.Unmarshal(payload, &said) == nil && (said.Issuer == LegacyIssuer || slices.Contains(v.cfg.Issuers, said.Issuer))
}

// parse verifies the signature with the key that the token names, or with any when it names none.
func (v *Verifier) parse(token string, into *claims) error {
	_, err := v.parser.ParseWithClaims(token, into, func(t *jwt.Token) (any, error) {
		id, _ := t.Header["kid"].(string)
		var keys jwt.VerificationKeySet
		for _, key := range v.cfg.Keys {
			if (id == "" || id == key.ID) && key.method.Alg() == t.Method.Alg() {
				keys.Keys = append(keys.Keys, key.Key)
			}
		}
		if len(keys.Keys) == 0 {
			return nil, errors.New("no key of that ID")
		}
		return keys, nil
	})
	if err != nil {
		return errors.New("the signature of the token cannot be verified")
	}
	return nil
}

// refresh tells whether a token is still good. What it is bound to is looked into only when it has changed.
func (v *Verifier) refresh(ctx context.Context, k *verified, token string) (*verified, error) {
	now := v.cfg.Now()
	switch {
	case !k.to.IsZero() && !now.Before(k.to):
		return nil, errors.New("service account token has expired")
	case now.Add(skew).Before(k.from):
		return nil, errors.New("service account token is not valid yet")
	}
	if v.unchanged(k, now) {
		return k, nil
	}
	again := *k
	again.seen = nil
	b := k.bindings
	if err := v.look(ctx, &again, Account, b.Namespace, b.ServiceAccount); err != nil {
		return nil, err
	}
	for kind, ref := range map[Kind]*Reference{Secret: b.Secret, Pod: b.Pod} {
		if ref != nil {
			if err := v.look(ctx, &again, kind, b.Namespace, *ref); err != nil {
				return nil, err
			}
		}
	}
	if b.Node != nil && b.Pod == nil { // the node of a pod is told, and not held against it
		if err := v.look(ctx, &again, Node, "", *b.Node); err != nil {
			return nil, err
		}
	}
	if k.legacy {
		return &again, v.holdsToken(ctx, b, token)
	}
	return &again, nil
}

func (v *Verifier) unchanged(k *verified, now time.Time) bool {
	for i := range k.seen {
		s := &k.seen[i]
		revision, ok := v.cfg.Objects.Version(s.kind, s.namespace, s.name)
		if !ok || revision != s.revision || !s.deleted.IsZero() && now.After(s.deleted.Add(mourning)) {
			return false
		}
	}
	return len(k.seen) > 0
}

// look notes the state of an object that the token is bound to, if it is the one that was meant.
func (v *Verifier) look(ctx context.Context, k *verified, kind Kind, namespace string, ref Reference) error {
	state, err := v.cfg.Objects.State(ctx, kind, namespace, ref.Name)
	switch {
	case err != nil, ref.UID != "" && state.UID != ref.UID:
		return errInvalidated
	case !state.Deleted.IsZero() && v.cfg.Now().After(state.Deleted.Add(mourning)):
		return errInvalidated
	}
	k.seen = append(k.seen, seen{kind: kind, namespace: namespace, name: ref.Name, revision: state.Revision, deleted: state.Deleted})
	return nil
}

// holdsToken tells whether the secret of a legacy token still has it.
func (v *Verifier) holdsToken(ctx context.Context, b *bindings, token string) error {
	state, err := v.cfg.Objects.State(ctx, Secret, b.Namespace, b.Secret.Name)
	if err != nil || state.Token != token {
		return errInvalidated
	}
	return nil
}

// respond answers for the audiences that are asked for.
func (v *Verifier) respond(ctx context.Context, k *verified) (*authenticator.Response, bool, error) {
	if !k.warnAfter.IsZero() && v.cfg.Now().After(k.warnAfter) {
		handler.AddWarning(ctx, "the service account token is older than it should be: fetch a new one")
	}
	wanted, ok := authenticator.AudiencesFrom(ctx)
	if !ok {
		if k.usual == nil {
			return nil, false, wrongAudience(k.audiences, v.cfg.Audiences)
		}
		return k.usual, true, nil
	}
	both := k.audiences.Intersect(wanted)
	if len(both) == 0 {
		return nil, false, wrongAudience(k.audiences, wanted)
	}
	return &authenticator.Response{Audiences: both, User: k.user}, true, nil
}

func wrongAudience(has, wants authenticator.Audiences) error {
	return fmt.Errorf("token audiences %q is invalid for the target audiences %q", has, wants)
}
