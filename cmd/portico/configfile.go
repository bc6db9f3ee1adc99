package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// configFile is a file that holds one mapping, in YAML or JSON. The parsers' own words for what it should hold are types of Go.
type configFile struct {
	metav1.TypeMeta // what it says it is

	name string
	data []byte
}

func readConfigFile(name string) (*configFile, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	f := &configFile{name: name, data: data}
	var content any
	if err := yaml.Unmarshal(data, &content); err != nil {
		return nil, fmt.Errorf("reading %s: it is neither YAML nor JSON: %s", name, strings.Join(strings.Fields(err.Error()), " "))
	}
	mapping, ok := content.(map[string]any)
	if !ok && content != nil {
		return nil, fmt.Errorf("%s holds %s, and a mapping is wanted", name, inWords(reflect.TypeOf(content)))
	}
	f.APIVersion, _ = mapping["apiVersion"].(string)
	f.Kind, _ = mapping["kind"].(string)
	return f, nil
}

// String is what the file says it is.
func (f *configFile) String() string {
	if f.APIVersion == "" {
		return fmt.Sprintf("of kind %q", f.Kind)
	}
	return fmt.Sprintf("of kind %q in %s", f.Kind, f.APIVersion)
}

// decode reads what the file holds. Other than the YAML library it takes no number for text.
func (f *configFile) decode(into any) error {
	data, err := yaml.YAMLToJSON(f.data)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	return f.explain(err)
}

// decodeStrict has no place for what it does not know.
func (f *configFile) decodeStrict(into any) error {
	return f.explain(yaml.UnmarshalStrict(f.data, into))
}

func (f *configFile) explain(err error) error {
	var mistyped *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &mistyped):
		return fmt.Errorf("%s: %s must be %s", f.name, mistyped.Field, inWords(mistyped.Type))
	}
	return fmt.Errorf("reading %s: %s", f.name, strings.Join(strings.Fields(err.Error()), " "))
}

// inWords says what a value of a type is called in a file.
func inWords(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return inWords(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "text in base64"
		}
		return "a list"
	case reflect.Struct, reflect.Map:
		return "a mapping"
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float64:
		return "a number"
	}
	return "a whole number that is not too large"
}
