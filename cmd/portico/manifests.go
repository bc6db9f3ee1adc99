package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

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

// readManifests reads the objects in the files of a folder and of the folders in it, in the order of their paths.
func readManifests(dir string) ([]manifest, error) {
	all, err := readFolder(dir, nil)
	if err != nil {
		return nil, fmt.Errorf("--manifests-dir: %w", err)
	}
	return all, nil
}

// readFolder reads one folder. What begins with a dot is hidden: a mounted volume keeps its files in such a folder, and shows them, and
// folders of them, by links beside it. above are the folders that lead here: a link back to one of them would never end.
func readFolder(dir string, above []os.FileInfo) ([]manifest, error) {
	this, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(above, func(one os.FileInfo) bool { return os.SameFile(one, this) }) {
		return nil, fmt.Errorf("%s is a link back to a folder that it is in: remove it", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	above = append(slices.Clone(above), this)
	var all []manifest
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		found, err := readPath(filepath.Join(dir, entry.Name()), above)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// readPath reads a folder, or a file if its name is that of one of manifests.
func readPath(path string, above []os.FileInfo) ([]manifest, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return readFolder(path, above)
	}
	if !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseManifests(path, text)
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
