package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestAFileThatIsSomethingElseIsDescribedInWords(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	for name, c := range map[string]struct{ text, want string }{
		"words":                    {"garbage\n", file + " holds text, and a mapping is wanted"},
		"a list":                   {"[]", file + " holds a list, and a mapping is wanted"},
		"a number":                 {"17", file + " holds a number, and a mapping is wanted"},
		"no YAML":                  {"a: b: c\n\td", "is neither YAML nor JSON"},
		"another kind":             {"apiVersion: audit.k8s.io/v1\nkind: Policy\n", file + ` is of kind "Policy" in audit.k8s.io/v1, and a kubeconfig is wanted`},
		"a kind without version":   {"kind: Policy\n", file + ` is of kind "Policy", and a kubeconfig is wanted`},
		"a list that is none":      {"clusters: {}\n", file + ": clusters must be a list"},
		"a member that is no name": {"current-context: 1\n", file + ": current-context must be text"},
		"nothing":                  {"", file + " names no current-context"},
		"no current-context":       {kubeconfigOf("a", ""), file + " names no current-context"},
		"an unknown context":       {kubeconfigOf("a", "b"), `"b", and has no such context`},
	} {
		t.Run(name, func(t *testing.T) {
			write(t, file, c.text)
			_, err := kubeconfigs{"--kubeconfig", []string{file}}.config()
			if err == nil || !strings.HasPrefix(err.Error(), "--kubeconfig: ") || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q in it", err, c.want)
			}
			for _, word := range []string{"struct", "Go value", "main.", "v1.Config", "[]", "\n"} {
				if strings.Contains(err.Error(), word) {
					t.Errorf("%q is in %q", word, err)
				}
			}
		})
	}
}

func kubeconfigOf(name, current string) string {
	return "apiVersion: v1\nkind: Config\ncurrent-context: \"" + current + "\"\nclusters: [{name: " + name + ", cluster: {server: \"https://" + name + ".example\"}}]\n" +
		"contexts: [{name: " + name + ", context: {cluster: " + name + ", user: " + name + "}}]\nusers: [{name: " + name + ", user: {token: t}}]\n"
}

func TestTheServerIsFoundAsKubectlFindsIt(t *testing.T) {
	dir := t.TempDir()
	a, b, missing := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "missing")
	write(t, a, kubeconfigOf("a", ""))
	write(t, b, kubeconfigOf("b", "b"))
	write(t, filepath.Join(dir, adminKubeconfig), kubeconfigOf("admin", "admin"))
	for name, c := range map[string]struct {
		environment string
		args        []string
		want        string // an address, or what an error says
	}{
		"a list":                       {a + ":" + b, nil, "https://b.example"},
		"a list of which one is there": {missing + ":" + b, nil, "https://b.example"},
		"a list of which none is":      {missing + ":" + missing, nil, "$KUBECONFIG: open " + missing + ": no such file"},
		"a flag beside a list":         {a + ":" + b, []string{"--kubeconfig", filepath.Join(dir, adminKubeconfig)}, "https://admin.example"},
		"a data directory":             {b, []string{"--data-dir", dir}, "https://admin.example"},
		"an empty list":                {"", []string{"--data-dir", missing}, "--data-dir: open " + filepath.Join(missing, adminKubeconfig)},
		"one that names no server":     {a, nil, "names no current-context"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", c.environment)
			var where target
			flags := pflag.NewFlagSet("status", pflag.ContinueOnError)
			where.addFlags(flags)
			if err := flags.Parse(c.args); err != nil {
				t.Fatal(err)
			}
			client, err := where.connect()
			if got := told(client, err); !strings.Contains(got, c.want) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func told(client *frontClient, err error) string {
	if err != nil {
		return err.Error()
	}
	return client.url
}
