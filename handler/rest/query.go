package rest

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	internalvalidation "k8s.io/apimachinery/pkg/apis/meta/internalversion/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// parseQuery reads the query string. Most requests have none.
func parseQuery(r *http.Request) (url.Values, error) {
	if r.URL.RawQuery == "" {
		return nil, nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("unable to parse the query: %v", err))
	}
	return query, nil
}

// queryBool reads a flag as clients write it: present means true, unless it says false or 0.
func queryBool(values []string) bool {
	return len(values) > 0 && !strings.EqualFold(values[0], "false") && values[0] != "0"
}

func queryInt(query url.Values, key string) (*int64, error) {
	text := query.Get(key)
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("invalid value %q for %s: it must be an integer", text, key))
	}
	return &n, nil
}

// invalidOptions turns the problems of an options object into the answer clients know.
func invalidOptions(kind string, problems field.ErrorList) error {
	if len(problems) == 0 {
		return nil
	}
	return apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: kind}, "", problems)
}

// listRequest is what list, watch and deletecollection share.
type listRequest struct {
	ListOptions
	timeoutSeconds int64 // 0: none given
}

func parseList(query url.Values, watch bool) (*listRequest, error) {
	opts := &listRequest{ListOptions: ListOptions{LabelSelector: labels.Everything(), FieldSelector: fields.Everything()}}
	if len(query) == 0 {
		return opts, nil
	}
	var err error
	if text := query.Get("labelSelector"); text != "" {
		if opts.LabelSelector, err = labels.Parse(text); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
	}
	if text := query.Get("fieldSelector"); text != "" {
		if opts.FieldSelector, err = fields.ParseSelector(text); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
	}
	limit, err := queryInt(query, "limit")
	if err != nil {
		return nil, err
	}
	if limit != nil && *limit > 0 {
		opts.Limit = *limit
	}
	timeout, err := queryInt(query, "timeoutSeconds")
	if err != nil {
		return nil, err
	}
	if timeout != nil && *timeout > 0 {
		opts.timeoutSeconds = *timeout
	}
	opts.ResourceVersion = query.Get("resourceVersion")
	opts.ResourceVersionMatch = metav1.ResourceVersionMatch(query.Get("resourceVersionMatch"))
	opts.Continue = query.Get("continue")
	opts.AllowWatchBookmarks = queryBool(query["allowWatchBookmarks"])
	if values, given := query["sendInitialEvents"]; given {
		send := queryBool(values)
		opts.SendInitialEvents = &send
	}
	problems := internalvalidation.ValidateListOptions(&internalversion.ListOptions{
		Watch:                watch,
		ResourceVersion:      opts.ResourceVersion,
		ResourceVersionMatch: opts.ResourceVersionMatch,
		Continue:             opts.Continue,
		SendInitialEvents:    opts.SendInitialEvents,
	}, true)
	return opts, invalidOptions("ListOptions", problems)
}

// writeQuery are the parameters that every write of a body takes.
type writeQuery struct {
	dryRun          []string
	fieldManager    string
	fieldValidation string
}

func parseWrite(query url.Values) writeQuery {
	return writeQuery{
		dryRun:          query["dryRun"],
		fieldManager:    query.Get("fieldManager"),
		fieldValidation: query.Get("fieldValidation"),
	}
}

func parseCreate(r *http.Request, query url.Values) (*metav1.CreateOptions, error) {
	q := parseWrite(query)
	opts := &metav1.CreateOptions{DryRun: q.dryRun, FieldManager: q.fieldManager, FieldValidation: q.fieldValidation}
	if err := invalidOptions("CreateOptions", metavalidation.ValidateCreateOptions(opts)); err != nil {
		return nil, err
	}
	q.fill(r, &opts.FieldManager, &opts.FieldValidation)
	return opts, nil
}

func parseUpdate(r *http.Request, query url.Values) (*metav1.UpdateOptions, error) {
	q := parseWrite(query)
	opts := &metav1.UpdateOptions{DryRun: q.dryRun, FieldManager: q.fieldManager, FieldValidation: q.fieldValidation}
	if err := invalidOptions("UpdateOptions", metavalidation.ValidateUpdateOptions(opts)); err != nil {
		return nil, err
	}
	q.fill(r, &opts.FieldManager, &opts.FieldValidation)
	return opts, nil
}

func parsePatch(r *http.Request, query url.Values, patchType types.PatchType) (*metav1.PatchOptions, error) {
	q := parseWrite(query)
	opts := &metav1.PatchOptions{DryRun: q.dryRun, FieldManager: q.fieldManager, FieldValidation: q.fieldValidation}
	if values, given := query["force"]; given {
		force := queryBool(values)
		opts.Force = &force
	}
	if err := invalidOptions("PatchOptions", metavalidation.ValidatePatchOptions(opts, patchType)); err != nil {
		return nil, err
	}
	q.fill(r, &opts.FieldManager, &opts.FieldValidation)
	return opts, nil
}

// fill sets what a client may leave out: the manager is then the program's name.
func (q writeQuery) fill(r *http.Request, manager, validation *string) {
	if *manager == "" {
		*manager = managerFromAgent(r.UserAgent())
	}
	if *validation == "" {
		*validation = metav1.FieldValidationWarn
	}
}

// managerFromAgent is the part of a User-Agent before the first slash, as far as a field manager
// may be spelled.
func managerFromAgent(agent string) string {
	name, _, _ := strings.Cut(agent, "/")
	name = strings.Map(func(c rune) rune {
		if strconv.IsPrint(c) {
			return c
		}
		return -1
	}, name)
	if len(name) > metavalidation.FieldManagerMaxLength {
		name = strings.ToValidUTF8(name[:metavalidation.FieldManagerMaxLength], "")
	}
	return name
}

// parseDelete reads the options of a delete from the query; a body, if there is one, wins over it.
func parseDelete(query url.Values) (*metav1.DeleteOptions, error) {
	opts := &metav1.DeleteOptions{DryRun: query["dryRun"]}
	var err error
	if opts.GracePeriodSeconds, err = queryInt(query, "gracePeriodSeconds"); err != nil {
		return nil, err
	}
	if policy := query.Get("propagationPolicy"); policy != "" {
		opts.PropagationPolicy = (*metav1.DeletionPropagation)(&policy)
	}
	if values, given := query["orphanDependents"]; given {
		orphan := queryBool(values)
		opts.OrphanDependents = &orphan
	}
	return opts, nil
}
