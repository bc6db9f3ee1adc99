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
	stored  []byte
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
	o := outline{stored: stored, text: make([]byte, 0, usualOutline), schemas: map[string][]byte{}}
	err := rawjson.Members(stored, func(m rawjson.Member) {
		switch string(m.Key) {
		case "metadata":
			o.metadata(m)
		case "spec":
			o.spec(m)
		}
	})
	d := &definition{}
	if err == nil {
		err = json.Unmarshal(append(o.text, stored[o.taken:]...), d)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("decoding a definition: %w", err)
	}
	return d, o.schemas, nil
}

// usualOutline is how long most definitions are without their schemas, in bytes.
const usualOutline = 4 << 10

// leaveOut puts null in the place of a value of stored.
func (o *outline) leaveOut(at int, value []byte) {
	o.text = append(append(o.text, o.stored[o.taken:at]...), "null"...)
	o.taken = at + len(value)
}

// What is of another form than metadata, spec and versions have, is passed over here: whoever decodes the outline says what is wrong with it.

func (o *outline) metadata(metadata rawjson.Member) {
	_ = rawjson.Members(metadata.Value, func(m rawjson.Member) {
		if string(m.Key) == "managedFields" {
			o.leaveOut(metadata.At+m.At, m.Value)
		}
	})
}

func (o *outline) spec(spec rawjson.Member) {
	_ = rawjson.Members(spec.Value, func(m rawjson.Member) {
		if string(m.Key) == "versions" {
			_ = rawjson.Elements(m.Value, func(at int, version []byte) { o.version(spec.At+m.At+at, version) })
		}
	})
}

func (o *outline) version(at int, version []byte) {
	var name string
	var schema []byte
	_ = rawjson.Members(version, func(m rawjson.Member) {
		switch string(m.Key) {
		case "name":
			_ = json.Unmarshal(m.Value, &name)
		case "schema":
			schema = rawjson.Field(m.Value, "openAPIV3Schema")
			o.leaveOut(at+m.At, m.Value)
		}
	})
	o.schemas[name] = schema
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
