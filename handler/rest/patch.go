package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/mergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
)

// patch changes an object by a description of the change. The storage calls the change again on the
// newer object when another writer was faster, unless the patch carries a resourceVersion: that one
// then no longer fits, and the storage answers with a conflict.
func (e *endpoint) patch(w http.ResponseWriter, r *http.Request, at target) error {
	query, enc, err := e.begin(r)
	if err != nil {
		return err
	}
	patchType, err := e.patchType(r)
	if err != nil {
		return err
	}
	opts, err := parsePatch(r, query, patchType)
	if err != nil {
		return err
	}
	body, err := readBody(w, r, e.cfg.MaxBodyBytes)
	if err != nil {
		return err
	}
	recordPatch(r.Context(), body, patchType == types.ApplyPatchType)
	var stored runtime.Object
	var created bool
	err = e.inTurn(r.Context(), len(body), func(ctx context.Context) error {
		stored, created, err = e.applyPatch(ctx, patchType, body, at, opts)
		return err
	})
	if err != nil {
		return err
	}
	return e.respondObject(w, r, createdOrOK(created), enc, stored)
}

// applyPatch stores what the patch in body makes of an object.
func (e *endpoint) applyPatch(ctx context.Context, patchType types.PatchType, body []byte, at target, opts *metav1.PatchOptions) (stored runtime.Object, created bool, err error) {
	how := &UpdateOptions{
		UpdateOptions: metav1.UpdateOptions{DryRun: opts.DryRun, FieldManager: opts.FieldManager, FieldValidation: opts.FieldValidation},
	}
	var transform Transform
	if patchType == types.ApplyPatchType {
		how.CreateOnMissing, how.Applied = true, true
		transform, err = e.applyTransform(ctx, body, at, opts)
	} else {
		transform, err = e.patchTransform(patchType, body, at, opts)
	}
	if err != nil {
		return nil, false, err
	}
	return e.res.Storage.(Updater).Update(ctx, at.namespace, at.name, transform, how)
}

// patchType reads which language the patch is written in.
func (e *endpoint) patchType(r *http.Request) (types.PatchType, error) {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	accepted := []string{string(types.JSONPatchType), string(types.MergePatchType)}
	if !e.loose { // only the tags of Go types say how their lists are merged
		accepted = append(accepted, string(types.StrategicMergePatchType))
	}
	if e.res.Applier != nil {
		accepted = append(accepted, string(types.ApplyPatchType))
	}
	for _, known := range accepted {
		if strings.TrimSpace(media) == known {
			return types.PatchType(known), nil
		}
	}
	return "", unsupported(accepted)
}

// patchTransform reads a patch once, so that it can be applied more than once.
func (e *endpoint) patchTransform(patchType types.PatchType, body []byte, at target, opts *metav1.PatchOptions) (Transform, error) {
	change, err := e.newChange(patchType, body)
	if err != nil {
		return nil, err
	}
	var doubts []error
	if opts.FieldValidation != metav1.FieldValidationIgnore {
		doubts = doubtful(patchType, body)
	}
	return func(ctx context.Context, current runtime.Object) (runtime.Object, error) {
		if current == nil {
			return nil, apierrors.NewNotFound(e.gvr.GroupResource(), at.name)
		}
		return e.patched(ctx, change, doubts, current, at, opts)
	}, nil
}

// doubtful finds what is said twice in a patch, and what means nothing in one. The patch can be read.
func doubtful(patchType types.PatchType, patch []byte) []error {
	if patchType != types.JSONPatchType {
		var whole map[string]any
		problems, _ := kjson.UnmarshalStrict(patch, &whole, kjson.DisallowDuplicateFields)
		return problems
	}
	var operations JSONPatch
	problems, _ := kjson.UnmarshalStrict(patch, &operations)
	for i, problem := range problems {
		problems[i] = fmt.Errorf("json patch %w", problem)
	}
	return problems
}

// change turns an object's JSON into that of its new state.
type change func(object []byte) ([]byte, error)

// newChange reads a patch in one of the languages that describe a change.
func (e *endpoint) newChange(patchType types.PatchType, patch []byte) (change, error) {
	switch patchType {
	case types.JSONPatchType:
		return newJSONPatchChange(patch)
	case types.MergePatchType:
		merge, err := parseMergePatch(patch)
		return merge.apply, err
	}
	return func(object []byte) ([]byte, error) {
		if err := boundMerge(object, patch); err != nil {
			return nil, err
		}
		merged, err := strategicpatch.StrategicMergePatch(object, patch, e.res.New())
		if err != nil {
			return nil, strategicError(err)
		}
		return merged, nil
	}, nil
}

// strategicError tells a patch that cannot be read from one that does not fit the object.
func strategicError(err error) error {
	for _, unreadable := range []error{
		mergepatch.ErrBadJSONDoc, mergepatch.ErrBadPatchFormatForPrimitiveList, mergepatch.ErrBadPatchFormatForRetainKeys,
		mergepatch.ErrBadPatchFormatForSetElementOrderList, mergepatch.ErrUnsupportedStrategicMergePatchFormat,
	} {
		if errors.Is(err, unreadable) {
			return apierrors.NewBadRequest(err.Error())
		}
	}
	return unprocessable(err.Error())
}

func newJSONPatchChange(patch []byte) (change, error) {
	operations, err := ParseJSONPatch(patch)
	return func(object []byte) ([]byte, error) {
		after, err := operations.Apply(object)
		if err != nil {
			return nil, unprocessable(err.Error())
		}
		return after, nil
	}, err
}

func unprocessable(message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid, Message: message,
	}}
}

// patched applies change to current. doubts are the problems that the patch has whatever it is applied to.
func (e *endpoint) patched(ctx context.Context, change change, doubts []error, current runtime.Object, at target, opts *metav1.PatchOptions) (runtime.Object, error) {
	before, err := encode(current, e.gvk)
	if err != nil {
		return nil, err
	}
	after, err := change(before)
	if err != nil {
		return nil, err
	}
	if err := e.boundDepth(after, formatJSON, at.name); err != nil {
		return nil, err
	}
	obj := e.res.New()
	problems, err := e.decode(after, formatJSON, obj)
	if apierrors.IsInvalid(err) {
		return nil, err
	}
	if err != nil {
		return nil, e.invalidPatch(at, err)
	}
	if problems = append(slices.Clip(doubts), problems...); len(problems) > 0 {
		switch opts.FieldValidation {
		case metav1.FieldValidationStrict:
			return nil, e.invalidPatch(at, runtime.NewStrictDecodingError(problems))
		case metav1.FieldValidationWarn:
			warnOf(ctx, problems)
		}
	}
	return obj, checkIdentity(obj, at)
}

// invalidPatch says that what the patch leads to is no object of this kind.
func (e *endpoint) invalidPatch(at target, err error) error {
	return apierrors.NewInvalid(e.gvk.GroupKind(), at.name, field.ErrorList{field.Invalid(field.NewPath("patch"), field.OmitValueType{}, err.Error())})
}
