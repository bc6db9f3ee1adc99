package rest

import (
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	jsonserializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	kjson "sigs.k8s.io/json"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// codec reads and writes the bodies of one scheme's types. Nothing is converted here: a body has the
// version of its path.
type codec struct {
	json  *jsonserializer.Serializer
	yaml  *jsonserializer.Serializer
	proto *protobuf.Serializer
}

func newCodec(scheme *runtime.Scheme) *codec {
	serializer := func(yaml bool) *jsonserializer.Serializer {
		return jsonserializer.NewSerializerWithOptions(jsonserializer.DefaultMetaFactory, scheme, scheme,
			jsonserializer.SerializerOptions{Yaml: yaml, Strict: true})
	}
	return &codec{json: serializer(false), yaml: serializer(true), proto: protobuf.NewSerializer(scheme, scheme)}
}

func (c *codec) decoder(f format) runtime.Decoder {
	switch f {
	case formatYAML:
		return c.yaml
	case formatProtobuf:
		return c.proto
	}
	return c.json
}

// decode reads body into into, which must be a gvk. Fields that are unknown or given twice come back
// in problems; any other trouble with the body is a 400.
func (c *codec) decode(body []byte, f format, gvk schema.GroupVersionKind, into runtime.Object) (problems []error, err error) {
	obj, actual, err := c.decoder(f).Decode(body, &gvk, into)
	if actual != nil && *actual != gvk {
		return nil, mismatch(*actual, gvk)
	}
	if strict, ok := runtime.AsStrictDecodingError(err); ok && obj == into {
		return strict.Errors(), nil
	}
	if err != nil {
		if actual == nil {
			return nil, unrecognized(gvk.Kind, err)
		}
		return nil, apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: %v", actual.Kind, actual.Version, gvk.Kind, err))
	}
	into.GetObjectKind().SetGroupVersionKind(gvk)
	return nil, nil
}

// decodeLoose reads a body into an object without a Go type. What kind it says it is, is for the resource's rules to judge.
func (c *codec) decodeLoose(body []byte, f format, gvk schema.GroupVersionKind, into runtime.Object) (problems []error, err error) {
	obj, actual, err := c.decoder(f).Decode(body, &gvk, into)
	if strict, ok := runtime.AsStrictDecodingError(err); ok && obj == into {
		problems, err = strict.Errors(), nil
	}
	if err != nil {
		return nil, unrecognized(gvk.Kind, err)
	}
	if actual.GroupVersion() != gvk.GroupVersion() {
		return nil, mismatch(*actual, gvk)
	}
	return problems, nil
}

// unrecognized says why a body is no object. kube-apiserver shows the Go type, of a body that is no JSON object, that it looked for a kind with.
func unrecognized(kind string, err error) error {
	why := err.Error()
	if before, after, found := strings.Cut(why, "Go value of type struct {"); found {
		_, after, _ = strings.Cut(after, "}")
		why = before + "an object with apiVersion and kind" + after
	}
	return apierrors.NewBadRequest(fmt.Sprintf("the object provided is unrecognized (must be of type %s): %s", kind, why))
}

// mismatch says that the body is of another kind than its path.
func mismatch(actual, want schema.GroupVersionKind) error {
	if actual.GroupVersion() != want.GroupVersion() {
		return apierrors.NewBadRequest(fmt.Sprintf("the API version in the data (%s) does not match the expected API version (%s)",
			actual.GroupVersion(), want.GroupVersion()))
	}
	return apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s", actual.Kind, actual.Version, want.Kind))
}

// decodeStored reads what a storage handed out, which is known to be of the right kind.
func decodeStored(stored []byte, into runtime.Object) error {
	if err := kjson.UnmarshalCaseSensitivePreserveInts(stored, into); err != nil {
		return fmt.Errorf("decoding a stored object: %w", err)
	}
	return nil
}

// encode writes obj as compact JSON of kind gvk.
func encode(obj runtime.Object, gvk schema.GroupVersionKind) ([]byte, error) {
	if obj.GetObjectKind().GroupVersionKind() != gvk {
		obj.GetObjectKind().SetGroupVersionKind(gvk)
	}
	body, err := json.Marshal(obj)
	if err != nil {
		return nil, fmt.Errorf("encoding a %s: %w", gvk.Kind, err)
	}
	return body, nil
}
