package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdv1 "k8s.io/client-go/tools/clientcmd/api/v1"
)

// kubeconfigs are files that are merged, as kubectl merges those of $KUBECONFIG.
type kubeconfigs struct {
	from  string // the flag, or what else names the files
	files []string
}

// config is how to reach the server of the current context.
func (k kubeconfigs) config() (*restclient.Config, error) {
	config, err := k.load()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.from, err)
	}
	return config, nil
}

func (k kubeconfigs) load() (*restclient.Config, error) {
	read := 0
	var missing error
	for _, file := range k.files {
		err := checkKubeconfig(file)
		switch {
		case err == nil:
			read++
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		case missing == nil:
			missing = err
		}
	}
	if read == 0 { // one of several may be missing, as for kubectl
		return nil, missing
	}
	merged, err := (&clientcmd.ClientConfigLoadingRules{Precedence: k.files}).Load()
	if err != nil {
		return nil, err
	}
	current, from := merged.Contexts[merged.CurrentContext], strings.Join(k.files, ":")
	switch {
	case merged.CurrentContext == "":
		return nil, fmt.Errorf("%s names no current-context, and with it no server", from)
	case current == nil:
		return nil, fmt.Errorf("%s names the current-context %q, and has no such context", from, merged.CurrentContext)
	case merged.Clusters[current.Cluster] == nil:
		return nil, fmt.Errorf("%s names the cluster %q in its current-context, and has no such cluster", from, current.Cluster)
	}
	return clientcmd.NewDefaultClientConfig(*merged, &clientcmd.ConfigOverrides{}).ClientConfig()
}

// checkKubeconfig finds out whether a file is a kubeconfig. An empty one is.
func checkKubeconfig(name string) error {
	file, err := readConfigFile(name)
	if err != nil {
		return err
	}
	if file.Kind != "" && file.Kind != "Config" || file.APIVersion != "" && file.APIVersion != "v1" {
		return fmt.Errorf("%s is %s, and a kubeconfig is wanted", name, file)
	}
	return file.decode(&clientcmdv1.Config{})
}
