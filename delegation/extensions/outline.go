package extensions

import (
	"encoding/json"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/portico-api/portico/handler/rawjson"
	"github.com/portico-api/portico/handler/rest"
)

// outline is a stored definition in parts: schemas are nearly all of its size, and to follow and to describe thousands of definitions nobody may
// decode them.
type outline struct {
	stored  rawjson.Scanner
	text    []byte            // without schemas, and without who has written which field
	schemas map[string][]byte // of the versions; they share the memory of stored
	taken   int               // how much of stored is in text, or left out
}

// decodeOutline decodes a stored definition but for its schemas.
func decodeOutline(o rest.Object) (*definition, error) {
	d, _, err := decodeAround(o.JSON())
	return d, err
}

// decodeAround decodes a stored definition without schemas. Beside it are these as they are stored, by their versions.
func decodeAround(stored []byte) (*definition, map[string][]byte, error) {
	o := outline{stored: rawjson.Scanner{Text: stored}, text: make([]byte, 0, usualOutline), schemas: map[string][]byte{}}
	// What has another form than definitions have, is passed over: the decoder of the outline says what is wrong with it.
	o.stored.Members(func(key []byte) {
		switch string(key) {
		case "metadata":
			o.stored.Members(o.metadata)
		case "spec":
			o.stored.Members(o.spec)
		}
	})
	d := &definition{}
	if err := json.Unmarshal(append(o.text, stored[o.taken:]...), d); err != nil {
		return nil, nil, fmt.Errorf("decoding a definition: %w", err)
	}
	return d, o.schemas, nil
}

// usualOutline is how long most definitions are without their schemas, in bytes.
const usualOutline = 4 << 10

func (o *outline) metadata(key []byte) {
	if string(key) == "managedFields" {
		o.leaveOut()
	}
}

func (o *outline) spec(key []byte) {
	if string(key) == "versions" {
		o.stored.Elements(o.version)
	}
}

func (o *outline) version() {
	var name string
	var schema []byte
	o.stored.Members(func(key []byte) {
		switch string(key) {
		case "name":
			_ = json.Unmarshal(o.stored.Skip(), &name)
		case "schema":
			schema = o.leaveOut()
		}
	})
	o.schemas[name] = rawjson.Field(schema, "openAPIV3Schema")
}

// leaveOut puts null in the place of a value, and returns it.
func (o *outline) leaveOut() []byte {
	o.text = append(append(o.text, o.stored.Text[o.taken:o.stored.At]...), "null"...)
	value := o.stored.Skip()
	o.taken = o.stored.At
	return value
}

// withoutSchemas is a definition as its outline has it.
func withoutSchemas(d *definition) *definition {
	light := *d
	light.ManagedFields = nil
	light.Spec.Versions = make([]apiextensionsv1.CustomResourceDefinitionVersion, len(d.Spec.Versions))
	for i, v := range d.Spec.Versions {
		v.Schema = nil
		light.Spec.Versions[i] = v
	}
	return &light
}
