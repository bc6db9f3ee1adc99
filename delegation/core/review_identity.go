package core

import (
	"context"
	"net/http"
	"net/url"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/handler"
)

// identityReviews tell who somebody is.
type identityReviews struct {
	authn authenticator.Request
}

// token asks the whole authenticator of a request with nothing but the token. A token that nobody knows is an
// answer, not an error.
func (i identityReviews) token(ctx context.Context, _ string, r *authenticationv1.TokenReview) error {
	if r.Spec.Token == "" {
		return apierrors.NewBadRequest("token is required for TokenReview in authentication")
	}
	if len(r.Spec.Audiences) > 0 {
		ctx = authenticator.WithAudiences(ctx, r.Spec.Audiences)
	}
	probe := (&http.Request{
		Method: http.MethodGet,
		URL:    &url.URL{},
		Header: http.Header{"Authorization": {"Bearer " + r.Spec.Token}},
	}).WithContext(ctx)
	response, ok, err := i.authn.AuthenticateRequest(probe)
	r.Status = authenticationv1.TokenReviewStatus{}
	if err != nil {
		r.Status.Error = err.Error()
	}
	if !ok || len(r.Spec.Audiences) > 0 && len(response.Audiences.Intersect(r.Spec.Audiences)) == 0 {
		return nil // known perhaps, but not to be believed by who asks
	}
	r.Status.Authenticated = true
	r.Status.User = userInfo(response.User)
	r.Status.Audiences = response.Audiences
	return nil
}

// self is kubectl auth whoami.
func (i identityReviews) self(ctx context.Context, _ string, r *authenticationv1.SelfSubjectReview) error {
	u, err := requester(ctx)
	if err != nil {
		return err
	}
	r.Status = authenticationv1.SelfSubjectReviewStatus{UserInfo: userInfo(u)}
	return nil
}

func userInfo(u user.Info) authenticationv1.UserInfo {
	info := authenticationv1.UserInfo{Username: u.GetName(), UID: u.GetUID(), Groups: u.GetGroups()}
	if extra := u.GetExtra(); len(extra) > 0 {
		info.Extra = make(map[string]authenticationv1.ExtraValue, len(extra))
		for key, values := range extra {
			info.Extra[key] = values
		}
	}
	return info
}

// requester is who sent the request.
func requester(ctx context.Context) (user.Info, error) {
	r, ok := handler.RequestFrom(ctx)
	if !ok || r.User == nil {
		return nil, apierrors.NewUnauthorized("Unauthorized")
	}
	return r.User, nil
}
