package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestManifestsAreReadInTheOrderOfTheirFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"20-b.yml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n---\n# nothing\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n",
		"10-a.yaml": "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: a1}}\n" +
			"- {apiVersion: v1, kind: Namespace, metadata: {name: a2}}\n",
		"30-d.json": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"d"}}`,
		"README.md": "not a manifest",
		"empty.yml": "",
	} {
		write(t, filepath.Join(dir, name), text)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.yaml"), 0o755); err != nil {
		t.Fatal(err)
	}
	all, err := readManifests(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range all {
		names = append(names, m.object.GetName())
	}
	if got := strings.Join(names, " "); got != "a1 a2 b c d" {
		t.Errorf("got %s", got)
	}
	if want := filepath.Join(dir, "20-b.yml") + ", document 3"; all[3].place != want {
		t.Errorf("got %s, want %s", all[3].place, want)
	}
}

// A volume that a ConfigMap is mounted as has its files in a hidden folder of the day, and links to them and to their folders beside it.
func TestManifestsOfAMountedVolumeAreReadOnce(t *testing.T) {
	dir := t.TempDir()
	object := func(name string) string { return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n" }
	folder := func(path string) string {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, path), 0o755); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, path)
	}
	link := func(to, path string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, path)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(folder("..2026_11_28/30-more"), "a.yaml"), object("three"))
	write(t, filepath.Join(dir, "..2026_11_28/10.yaml"), object("one"))
	link("..2026_11_28", "..data")
	link("..data/10.yaml", "10.yaml")
	link("..data/30-more", "30-more")
	write(t, filepath.Join(folder("20/b"), "x.json"), `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"two"}}`)
	write(t, filepath.Join(dir, "20/.hidden.yaml"), "no manifest: [")
	write(t, filepath.Join(dir, ".10.yaml.swp.yaml"), object("swapped"))
	write(t, filepath.Join(folder(".git"), "x.yaml"), object("git"))

	all, err := readManifests(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range all {
		names = append(names, m.object.GetName())
	}
	if got := strings.Join(names, " "); got != "one two three" {
		t.Errorf("got %s", got)
	}

	link("../..", "20/b/up")
	if _, err := readManifests(dir); err == nil || !strings.Contains(err.Error(), "--manifests-dir: "+filepath.Join(dir, "20/b/up")+" is a link back") {
		t.Errorf("a link that leads back: %v", err)
	}
}

func TestManifestsThatCannotBeReadAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		"a: [":                                   "document 1: it is no object in YAML or JSON",
		"- a":                                    "document 1: it is no object in YAML or JSON",
		"apiVersion: v1\nkind: ConfigMap\n":      "document 1: metadata.name is missing",
		"kind: ConfigMap\nmetadata: {name: a}\n": "document 1: apiVersion is missing",
		"apiVersion: v1\nmetadata: {name: a}\n":  "document 1: kind is missing",
		"apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\na: 1\na: 2\n":                                     "document 2: it is no object in YAML or JSON",
		"apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}, {a: b}]": "document 1: ",
		"apiVersion: v1\nkind: List\nitems: [1]":                                                              "document 1: ",
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "x.yaml")
		write(t, file, text)
		_, err := readManifests(dir)
		if err == nil || !strings.HasPrefix(err.Error(), "--manifests-dir: "+file+", "+want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	if _, err := readManifests(filepath.Join(t.TempDir(), "nowhere")); err == nil || !strings.HasPrefix(err.Error(), "--manifests-dir: ") {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func FuzzParseManifests(f *testing.F) {
	for _, seed := range []string{"apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\n", "---\n---\n", "{}", "kind: List\napiVersion: v1\nitems: [{}]", "\x00", "a: &a [*a]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := parseManifests("x.yaml", text)
		for _, m := range all {
			if err == nil && (m.object.GetName() == "" || m.object.GetKind() == "") {
				t.Errorf("%q gives an object without a name or kind", text)
			}
		}
	})
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
