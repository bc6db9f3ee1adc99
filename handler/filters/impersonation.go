package filters

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/metrics"
)

const (
	impersonateUser  = "Impersonate-User"
	impersonateGroup = "Impersonate-Group"
	impersonateUID   = "Impersonate-Uid"
	impersonateExtra = "Impersonate-Extra-"
)

// withImpersonation lets a user act as another whom it may impersonate (contract 2.4). Everything below sees the
// other user only.
func withImpersonation(a authorizer.Authorizer, m *metrics.Metrics) filter {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !impersonates(r.Header) {
				next.ServeHTTP(w, r)
				return
			}
			rq, start := requestOf(r), time.Now()
			ctx, span := handler.StartSpan(r.Context(), "impersonation")
			wanted, err := wantedIdentity(r.Header)
			if err == nil {
				err = wanted.authorize(ctx, a, rq.User)
			}
			span.End(err)
			decision, took := metrics.Allowed, time.Since(start)
			if err != nil {
				decision = metrics.Denied
			}
			m.Requests.Filter("impersonation", took)
			m.Requests.Impersonation(decision, took)
			if err != nil {
				handler.WriteError(w, r, err)
				return
			}
			removeImpersonation(r.Header)
			rq.Impersonator, rq.User = rq.User, wanted.user()
			klog.FromContext(r.Context()).V(4).Info("Impersonating", "user", rq.Impersonator.GetName(), "as", rq.User.GetName(), "auditID", rq.AuditID)
			next.ServeHTTP(w, r)
		})
	}
}

// impersonates tells whether there is any header of impersonation.
func impersonates(h http.Header) bool {
	for name := range h {
		if name != "" && name[0] == 'I' && isImpersonation(name) {
			return true
		}
	}
	return false
}

func isImpersonation(name string) bool {
	switch name {
	case impersonateUser, impersonateGroup, impersonateUID:
		return true
	}
	return strings.HasPrefix(name, impersonateExtra)
}

func removeImpersonation(h http.Header) {
	for name := range h {
		if isImpersonation(name) {
			delete(h, name)
		}
	}
}

// identity is whom a request wants to act as.
type identity struct {
	name, uid string
	// namespace and account are set when the name is that of a service account.
	namespace, account string
	groups             []string
	extra              map[string][]string
}

func wantedIdentity(h http.Header) (*identity, error) {
	id := &identity{name: h.Get(impersonateUser), uid: h.Get(impersonateUID), groups: slices.Clone(h[impersonateGroup])}
	for name, values := range h {
		if !strings.HasPrefix(name, impersonateExtra) {
			continue
		}
		key := strings.ToLower(name[len(impersonateExtra):])
		// A key that is badly encoded is kept as it came: it must not be lost, nor taken for another.
		if decoded, err := url.PathUnescape(key); err == nil {
			key = decoded
		}
		if id.extra == nil {
			id.extra = map[string][]string{}
		}
		id.extra[key] = append(id.extra[key], values...)
	}
	if id.name == "" {
		return nil, apierrors.NewBadRequest("requested a group, UID or extra field without impersonating a user: the header " + impersonateUser + " is missing")
	}
	if namespace, account, err := serviceaccount.SplitUsername(id.name); err == nil {
		id.namespace, id.account = namespace, account
	}
	return id, nil
}

// authorize asks for each part of the identity whether the user may take it on.
func (id *identity) authorize(ctx context.Context, a authorizer.Authorizer, as user.Info) error {
	check := func(attributes authorizer.AttributesRecord) error {
		attributes.User, attributes.Verb, attributes.ResourceRequest = as, "impersonate", true
		decision, reason, err := a.Authorize(ctx, attributes)
		if decision == authorizer.DecisionAllow {
			return nil
		}
		if err != nil {
			klog.FromContext(ctx).Error(err, "Authorizing impersonation", "user", as.GetName(), "as", id.name)
		}
		return forbidden(attributes, reason)
	}
	first := authorizer.AttributesRecord{APIVersion: "v1", Resource: "users", Name: id.name}
	if id.account != "" {
		first = authorizer.AttributesRecord{APIVersion: "v1", Resource: "serviceaccounts", Namespace: id.namespace, Name: id.account}
	}
	if err := check(first); err != nil {
		return err
	}
	for _, group := range id.groups {
		if err := check(authorizer.AttributesRecord{APIVersion: "v1", Resource: "groups", Name: group}); err != nil {
			return err
		}
	}
	const authentication = "authentication.k8s.io"
	for key, values := range id.extra {
		for _, value := range values {
			if err := check(authorizer.AttributesRecord{APIGroup: authentication, APIVersion: "v1", Resource: "userextras", Subresource: key, Name: value}); err != nil {
				return err
			}
		}
	}
	if id.uid != "" {
		return check(authorizer.AttributesRecord{APIGroup: authentication, APIVersion: "v1", Resource: "uids", Name: id.uid})
	}
	return nil
}

// user is the identity with the groups that everyone of its kind is in.
func (id *identity) user() user.Info {
	groups := id.groups
	if id.account != "" && len(groups) == 0 {
		groups = serviceaccount.MakeGroupNames(id.namespace)
	}
	switch {
	case id.name == user.Anonymous:
		if !slices.Contains(groups, user.AllUnauthenticated) {
			groups = append(groups, user.AllUnauthenticated)
		}
	case !slices.Contains(groups, user.AllAuthenticated) && !slices.Contains(groups, user.AllUnauthenticated):
		groups = append(groups, user.AllAuthenticated)
	}
	return &user.DefaultInfo{Name: id.name, UID: id.uid, Groups: groups, Extra: id.extra}
}
