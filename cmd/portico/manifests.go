package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// manifest is one object that is applied at the start.
type manifest struct {
	place  string // where it is written, for messages
	object *unstructured.Unstructured
}

// manifests are those of --manifests-dir.
func (o *options) manifests() ([]manifest, error) {
	if o.manifestsDir == "" {
		return nil, nil
	}
	return readManifests(o.manifestsDir)
}

// readManifests reads the objects in the files of a folder, in the order of the files' names. Folders in it are not looked into, as with
// kubectl apply.
func readManifests(dir string) ([]manifest, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("--manifests-dir: %w", err)
	}
	var all []manifest
	for _, entry := range entries {
		file := filepath.Join(dir, entry.Name())
		if !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(file)) {
			continue
		}
		info, err := os.Stat(file) // files of a mounted volume are links
		if err != nil {
			return nil, fmt.Errorf("--manifests-dir: %w", err)
		}
		if info.IsDir() {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--manifests-dir: %w", err)
		}
		found, err := parseManifests(file, text)
		if err != nil {
			return nil, fmt.Errorf("--manifests-dir: %w", err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// parseManifests reads the documents of one file, YAML or JSON.
func parseManifests(file string, text []byte) ([]manifest, error) {
	var all []manifest
	documents := utilyaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text)))
	defer documents.Close()
	buffer := make([]byte, len(text)+1)
	for number := 1; ; number++ {
		n, err := documents.Read(buffer)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		place := fmt.Sprintf("%s, document %d", file, number)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", place, err)
		}
		found, err := parseDocument(place, buffer[:n])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", place, err)
		}
		all = append(all, found...)
	}
}

// parseDocument reads one document: an object, a list of objects, or nothing but comments.
func parseDocument(place string, text []byte) ([]manifest, error) {
	var content map[string]any
	if err := yaml.UnmarshalStrict(text, &content); err != nil {
		return nil, fmt.Errorf("it is no object in YAML or JSON: %w", err)
	}
	if len(content) == 0 {
		return nil, nil
	}
	u := &unstructured.Unstructured{Object: content}
	if u.IsList() {
		var all []manifest
		err := u.EachListItem(func(item runtime.Object) error {
			one := item.(*unstructured.Unstructured)
			all = append(all, manifest{place, one})
			return checkManifest(one)
		})
		return all, err
	}
	return []manifest{{place, u}}, checkManifest(u)
}

// checkManifest refuses what cannot be applied to any server.
func checkManifest(u *unstructured.Unstructured) error {
	for _, member := range []struct {
		name  string
		value string
	}{{"apiVersion", u.GetAPIVersion()}, {"kind", u.GetKind()}, {"metadata.name", u.GetName()}} {
		if member.value == "" {
			return fmt.Errorf("%s is missing: say which object it is", member.name)
		}
	}
	return nil
}
