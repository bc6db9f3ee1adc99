package filters

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/handler"
)

// Explain tells what the filters would do with a request of a user who is known already: r carries a handler.Request with that user. What is
// understood of the request is written into it. passed is false when it would come no further.
func Explain(c *Config, r *http.Request) (stations []handler.Station, passed bool) {
	c = c.withDefaults()
	rq, ok := handler.RequestFrom(r.Context())
	if !ok || rq.User == nil {
		return nil, false
	}
	tell := func(name, decision, why string) {
		stations = append(stations, handler.Station{Name: name, Decision: decision, Why: why})
	}
	if err := rq.Info.Parse(r); err != nil {
		tell("request info", http.StatusText(http.StatusInternalServerError), err.Error())
		return stations, false
	}
	tell("request info", rq.Info.Verb, describe(&rq.Info))
	tell("authentication", rq.User.GetName(), fmt.Sprintf("groups %v", rq.User.GetGroups()))

	if c.Auditor != nil {
		decision, why := c.Auditor.Explain(rq)
		tell("audit", decision, why)
	}
	rq.LongRunning = c.LongRunning(r, &rq.Info)
	switch {
	case rq.LongRunning:
		tell("limits", "none", "it is long-running: no deadline, not counted in flight")
	case rq.IsReadOnly():
		tell("limits", "reads", fmt.Sprintf("%d at a time, %v each", c.MaxRequestsInFlight, c.RequestTimeout))
	default:
		tell("limits", "writes", fmt.Sprintf("%d at a time, %v each", c.MaxMutatingRequestsInFlight, c.RequestTimeout))
	}

	decision, reason, err := c.Authorizer.Authorize(r.Context(), rq)
	switch {
	case decision == authorizer.DecisionAllow:
		tell("authorization", "allowed", cmp.Or(reason, "no reason is given"))
		return stations, true
	case err != nil:
		tell("authorization", http.StatusText(http.StatusInternalServerError), err.Error())
	default:
		tell("authorization", http.StatusText(http.StatusForbidden), cmp.Or(reason, "no rule allows it"))
	}
	return stations, false
}

// ActAs is the user that caller acts as: another of that name and those groups, if caller may impersonate that one, or itself when neither is given.
func ActAs(ctx context.Context, a authorizer.Authorizer, caller user.Info, name string, groups []string) (user.Info, error) {
	if name == "" && len(groups) == 0 {
		return caller, nil
	}
	headers := http.Header{impersonateGroup: groups}
	if name != "" {
		headers.Set(impersonateUser, name)
	}
	wanted, err := wantedIdentity(headers)
	if err != nil {
		return nil, err
	}
	if err := wanted.authorize(ctx, a, caller); err != nil {
		return nil, err
	}
	return wanted.user(), nil
}

// describe says in words what is asked for.
func describe(info *handler.RequestInfo) string {
	if !info.IsResourceRequest {
		return "no resource: " + info.Path
	}
	what := "resource " + info.Resource
	if info.Subresource != "" {
		what += "/" + info.Subresource
	}
	if info.APIGroup != "" {
		what += "." + info.APIGroup
	}
	what += ", version " + info.APIVersion
	if info.Namespace != "" {
		what += ", namespace " + info.Namespace
	}
	if info.Name != "" {
		what += ", name " + info.Name
	}
	return what
}
