package openapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"k8s.io/kube-openapi/pkg/aggregator"
	"k8s.io/kube-openapi/pkg/openapiconv"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/portico-api/portico/metrics"
)

// Foreign is the description of a group-version that another server has. It is kept compressed, as it came.
type Foreign struct {
	path string // "apis/apps/v1"
	doc  *document
}

// Importer takes over what other servers tell; its zero value is ready.
type Importer struct{ packer packer }

// Import keeps the document of version 3, in JSON, of the group-version at path. name is what its server knows it by, or empty.
func (i *Importer) Import(path, name string, text []byte) (*Foreign, error) {
	if _, err := readV3(text); err != nil {
		return nil, fmt.Errorf("reading the description of %s: %w", path, err)
	}
	d := &document{name: name, json: newLazy(&i.packer, mediaJSON, func() ([]byte, error) { return text, nil })}
	if _, err := d.json.hash(); err != nil {
		return nil, err
	}
	d.json.make = func() ([]byte, error) { return nil, errors.New("it is packed") } // text is not needed any more
	d.build = func() (*spec3.OpenAPI, error) {
		text, err := d.json.bytes()
		if err != nil {
			return nil, err
		}
		return readV3(text)
	}
	d.proto = newLazy(&i.packer, mediaProtoV3, d.encodeProto)
	return &Foreign{path: path, doc: d}, nil
}

// readV3 is json.Unmarshal, which would read all of it twice.
func readV3(text []byte) (*spec3.OpenAPI, error) {
	made := &spec3.OpenAPI{}
	return made, made.UnmarshalJSON(text)
}

// ImportV2 makes documents of version 3 of the only one that an older server has, for the group-versions at paths.
func (i *Importer) ImportV2(text []byte, paths []string) ([]*Foreign, error) {
	whole := &spec.Swagger{}
	if err := json.Unmarshal(text, whole); err != nil {
		return nil, fmt.Errorf("reading a description of version 2: %w", err)
	}
	if whole.Paths == nil {
		return nil, nil
	}
	var all []*Foreign
	for _, path := range paths {
		part := aggregator.FilterSpecByPathsWithoutSideEffects(whole, []string{"/" + path + "/"})
		if len(part.Paths.Paths) == 0 {
			continue
		}
		converted, err := openapiconv.ConvertV2ToV3(part).MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("converting the description of %s: %w", path, err)
		}
		f, err := i.Import(path, "", converted)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// ServeHTTP answers with the document.
func (f *Foreign) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.doc.serve(w, r, f.path) }

// Path is that of the group-version.
func (f *Foreign) Path() string { return f.path }

// Name is what its server knows it by; empty when that has told none.
func (f *Foreign) Name() string { return f.doc.name }

// Location is where it is served, with its hash.
func (f *Foreign) Location() (string, error) {
	hash, err := f.doc.hash()
	return location(f.path, hash), err
}

// Follow has the document of version 2 tell also of what other servers have. foreign is called when a client asks, and has what comes
// first among them first; the returned function tells that it would answer something else now.
func (s *Service) Follow(foreign func() []*Foreign) (changed func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.foreign = foreign
	s.changed(metrics.DocumentUpdated)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed(metrics.DocumentUpdated)
	}
}

// mergeForeign adds the paths below those of their group-versions, and the models that these name. A model of the same name that says
// something else gets another name.
func mergeForeign(into *spec.Swagger, foreign []*Foreign) {
	for _, f := range foreign {
		part, err := f.down()
		if err != nil {
			continue // one group that cannot be described must not hide the others
		}
		part = aggregator.FilterSpecByPathsWithoutSideEffects(part, []string{"/" + f.path + "/"})
		_ = aggregator.MergeSpecsIgnorePathConflictRenamingDefinitionsAndParameters(into, part)
	}
}

// down says the document in the words of version 2.
func (f *Foreign) down() (*spec.Swagger, error) {
	v3, err := f.doc.build()
	if err != nil {
		return nil, err
	}
	down := &spec.Swagger{SwaggerProps: spec.SwaggerProps{
		Swagger: "2.0", Info: &spec.Info{}, Paths: &spec.Paths{Paths: map[string]spec.PathItem{}}, Definitions: spec.Definitions{},
	}}
	if v3.Paths == nil {
		return down, nil
	}
	for address, p := range v3.Paths.Paths {
		if p != nil && strings.HasPrefix(address, "/"+f.path+"/") {
			down.Paths.Paths[address] = downPath(p)
		}
	}
	if v3.Components == nil {
		return down, nil
	}
	for name, s := range v3.Components.Schemas {
		if s != nil {
			down.Definitions[name] = *downSchema(s)
		}
	}
	return down, nil
}
