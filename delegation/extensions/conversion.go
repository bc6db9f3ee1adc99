package extensions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/portico-api/portico/delegation/hookclient"
)

const (
	// conversionTimeout is how long a webhook that converts is waited for.
	conversionTimeout = 30 * time.Second
	// conversionBatch is how many bytes of objects a webhook is given at a time. Answers are bounded, and a list may be of any size.
	conversionBatch = 2 << 20
)

// converter makes objects of one version of those of another, which it may use up. It is asked only when something has to change.
type converter interface {
	convert(ctx context.Context, objects []*unstructured.Unstructured, to schema.GroupVersionKind) ([]*unstructured.Unstructured, error)
}

// newConverter returns the converter of a definition, which has been validated.
func newConverter(d *definition, clients *hookclient.Clients, m conversionMetrics) (converter, error) {
	c := d.Spec.Conversion
	if c == nil || c.Strategy != apiextensionsv1.WebhookConverter {
		return renaming{}, nil
	}
	if c.Webhook == nil || c.Webhook.ClientConfig == nil {
		return nil, fmt.Errorf("the conversion of %s names no webhook", d.Name)
	}
	for _, version := range c.Webhook.ConversionReviewVersions {
		if version == "v1" || version == "v1beta1" {
			return &conversionHook{definition: d.Name, client: clients.Of(hookConfig(c.Webhook.ClientConfig)), version: version, metrics: m}, nil
		}
	}
	return nil, fmt.Errorf("the webhook that converts %s understands none of the versions v1 and v1beta1", d.Name)
}

func hookConfig(c *apiextensionsv1.WebhookClientConfig) *registrationv1.WebhookClientConfig {
	config := &registrationv1.WebhookClientConfig{URL: c.URL, CABundle: c.CABundle}
	if s := c.Service; s != nil {
		config.Service = &registrationv1.ServiceReference{Namespace: s.Namespace, Name: s.Name, Path: s.Path, Port: s.Port}
	}
	return config
}

// renaming is for versions that differ in nothing but their name.
type renaming struct{}

func (renaming) convert(_ context.Context, objects []*unstructured.Unstructured, to schema.GroupVersionKind) ([]*unstructured.Unstructured, error) {
	for _, u := range objects {
		u.SetAPIVersion(to.GroupVersion().String())
	}
	return objects, nil
}

// conversionHook has a webhook convert.
type conversionHook struct {
	definition string // its name
	client     *hookclient.Client
	version    string // of the reviews
	metrics    conversionMetrics
}

// convert implements converter. The objects go in one request.
func (h *conversionHook) convert(ctx context.Context, objects []*unstructured.Unstructured, to schema.GroupVersionKind) ([]*unstructured.Unstructured, error) {
	from, begin := objects[0].GroupVersionKind(), time.Now()
	converted, err := h.ask(ctx, objects, to)
	h.metrics.Converted(h.definition, from.Version, to.Version, failureOf(err), time.Since(begin))
	if err != nil {
		return nil, conversionFailed(from, err)
	}
	return converted, nil
}

// conversionFailed is what clients are told (contract 7.3): text that they know, which no reason and nothing else stands before.
func conversionFailed(from schema.GroupVersionKind, err error) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Message: fmt.Sprintf("conversion webhook for %s failed: %v", from, err),
	}}
}

func (h *conversionHook) ask(ctx context.Context, objects []*unstructured.Unstructured, to schema.GroupVersionKind) ([]*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, conversionTimeout)
	defer cancel()
	id := types.UID(uuid.NewString())
	question, err := h.question(id, objects, to)
	if err != nil {
		return nil, err
	}
	body, err := h.client.Post(ctx, question, conversionTimeout)
	if err != nil {
		return nil, &wrongConversion{conversionCallFailed, err}
	}
	return h.answer(id, body, objects, to)
}

// question is a ConversionReview, whose two versions differ in their name only.
func (h *conversionHook) question(id types.UID, objects []*unstructured.Unstructured, to schema.GroupVersionKind) ([]byte, error) {
	review := apiextensionsv1.ConversionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: apiextensionsv1.GroupName + "/" + h.version, Kind: "ConversionReview"},
		Request:  &apiextensionsv1.ConversionRequest{UID: id, DesiredAPIVersion: to.GroupVersion().String(), Objects: make([]runtime.RawExtension, len(objects))},
	}
	for i, u := range objects {
		review.Request.Objects[i].Object = u
	}
	body, err := json.Marshal(&review)
	if err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	return body, nil
}

// answer takes from a review what may be taken: a webhook converts, and does not say what objects there are.
func (h *conversionHook) answer(id types.UID, body []byte, objects []*unstructured.Unstructured, to schema.GroupVersionKind) ([]*unstructured.Unstructured, error) {
	said, err := h.read(id, body)
	if err != nil {
		return nil, &wrongConversion{conversionMalformed, err}
	}
	if got, want := len(said), len(objects); got != want {
		failure := conversionPartial
		if got == 0 {
			failure = conversionNoObjects
		}
		return nil, &wrongConversion{failure, fmt.Errorf("returned %d objects, expected %d", got, want)}
	}
	converted := make([]*unstructured.Unstructured, len(objects))
	for i, raw := range said {
		if converted[i], err = take(raw, objects[i], to); err != nil {
			return nil, &wrongConversion{conversionInvalidObjects, fmt.Errorf("response.convertedObjects[%d]: %w", i, err)}
		}
	}
	return converted, nil
}

// read finds the objects in a review.
func (h *conversionHook) read(id types.UID, body []byte) ([]runtime.RawExtension, error) {
	var review apiextensionsv1.ConversionReview
	if err := json.Unmarshal(body, &review); err != nil {
		return nil, fmt.Errorf("the response is no ConversionReview: %w", err)
	}
	said := review.Response
	switch {
	case review.Kind != "ConversionReview" || review.APIVersion != apiextensionsv1.GroupName+"/"+h.version:
		return nil, fmt.Errorf("invalid response: expected a ConversionReview of %s/%s, got %q of %q", apiextensionsv1.GroupName, h.version, review.Kind, review.APIVersion)
	case said == nil:
		return nil, errors.New("no response provided")
	case h.version == "v1" && said.UID != id:
		return nil, fmt.Errorf("expected response.uid=%q, got %q", id, said.UID)
	case said.Result.Status != metav1.StatusSuccess && said.Result.Message != "":
		return nil, errors.New(said.Result.Message)
	case said.Result.Status != metav1.StatusSuccess:
		return nil, fmt.Errorf("response.result.status was %q, not %q", said.Result.Status, metav1.StatusSuccess)
	}
	return said.ConvertedObjects, nil
}

// take takes one converted object.
func take(raw runtime.RawExtension, original *unstructured.Unstructured, to schema.GroupVersionKind) (*unstructured.Unstructured, error) {
	u, err := decode(raw.Raw)
	if err != nil || u.Object == nil {
		return nil, errors.New("is no object")
	}
	if got := u.GroupVersionKind(); got.GroupVersion() != to.GroupVersion() {
		return nil, fmt.Errorf("invalid groupVersion (expected %v, received %v)", to.GroupVersion(), got.GroupVersion())
	}
	if err := keepIdentity(u, original); err != nil {
		return nil, err
	}
	return u, nil
}

// conversionMetrics counts what webhooks convert.
type conversionMetrics interface {
	// Converted notes a request: what was wrong with it, and how long it took.
	Converted(definition, from, to, failure string, took time.Duration)
	// Forget drops what is told of a definition.
	Forget(definition string)
}

// What can be wrong with a request to a webhook, in the words of kube-apiserver's metrics.
const (
	conversionCallFailed     = "conversion_webhook_call_failure"
	conversionMalformed      = "conversion_webhook_malformed_response_failure"
	conversionPartial        = "conversion_webhook_partial_response_failure"
	conversionInvalidObjects = "conversion_webhook_invalid_converted_object_failure"
	conversionNoObjects      = "conversion_webhook_no_objects_returned_failure"
)

// wrongConversion is what was wrong with a webhook, and how it is counted.
type wrongConversion struct {
	failure string
	error
}

func failureOf(err error) string {
	var wrong *wrongConversion
	switch {
	case errors.As(err, &wrong):
		return wrong.failure
	case err != nil:
		return conversionCallFailed
	}
	return ""
}

// versionCodec leads between one version of a definition and the one that is stored. It is a registry.Codec.
type versionCodec struct {
	schema    *versionSchema
	storage   *versionSchema
	converter converter
}

// Show implements registry.Codec.
func (c *versionCodec) Show(ctx context.Context, stored [][]byte) ([][]byte, error) {
	shown := slices.Clone(stored)
	var places []int
	size := 0
	for i, body := range stored {
		if isOf(body, c.schema.kind) {
			continue
		}
		if len(places) > 0 && size+len(body) > conversionBatch {
			if err := c.show(ctx, shown, places); err != nil {
				return nil, err
			}
			places, size = places[:0], 0
		}
		places, size = append(places, i), size+len(body)
	}
	if len(places) == 0 {
		return shown, nil
	}
	if err := c.show(ctx, shown, places); err != nil {
		return nil, err
	}
	return shown, nil
}

// show converts the bodies at some places.
func (c *versionCodec) show(ctx context.Context, bodies [][]byte, places []int) error {
	objects := make([]*unstructured.Unstructured, len(places))
	for n, i := range places {
		u, err := decode(bodies[i])
		if err != nil {
			return err
		}
		objects[n] = u
	}
	converted, err := c.converter.convert(ctx, objects, c.schema.kind)
	if err != nil {
		return err
	}
	for n, u := range converted {
		if _, err := c.schema.settle(u, true); err != nil {
			return fmt.Errorf("reading a converted %s: %w", c.schema.kind.Kind, err)
		}
		// Without this version's defaults: what is read has those of the version that it is stored in, as with kube-apiserver.
		if bodies[places[n]], err = json.Marshal(u.Object); err != nil {
			return fmt.Errorf("encoding a converted %s: %w", c.schema.kind.Kind, err)
		}
	}
	return nil
}

// Keep implements registry.Codec.
func (c *versionCodec) Keep(ctx context.Context, object []byte) ([]byte, error) {
	if c.schema == c.storage {
		return object, nil
	}
	u, err := decode(object)
	if err != nil {
		return nil, err
	}
	converted, err := c.converter.convert(ctx, []*unstructured.Unstructured{u}, c.storage.kind)
	if err != nil {
		return nil, err
	}
	// What the stored version does not know would come to light when it knows it one day.
	if _, err := c.storage.settle(converted[0], true); err != nil {
		return nil, fmt.Errorf("storing a converted %s: %w", c.storage.kind.Kind, err)
	}
	body, err := json.Marshal(converted[0].Object)
	if err != nil {
		return nil, fmt.Errorf("encoding a converted %s: %w", c.storage.kind.Kind, err)
	}
	return body, nil
}

// convertTo makes an object of another version, for who manages its fields or looks at it in that.
func convertTo(c converter, obj runtime.Object, to *versionSchema) (runtime.Object, error) {
	u := obj.(*unstructured.Unstructured)
	if u.GroupVersionKind() == to.kind {
		return u, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), conversionTimeout)
	defer cancel()
	converted, err := c.convert(ctx, []*unstructured.Unstructured{u}, to.kind)
	if err != nil {
		return nil, err
	}
	_, err = to.settle(converted[0], true)
	return converted[0], err
}
