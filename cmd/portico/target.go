package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
	restclient "k8s.io/client-go/rest"
)

// target is the front door that a command talks to.
type target struct {
	dataDir, kubeconfig string
	flags               *pflag.FlagSet
}

func (t *target) addFlags(f *pflag.FlagSet) {
	f.StringVar(&t.dataDir, "data-dir", defaultDataDir, "Data directory of the server, for its admin.kubeconfig.")
	f.StringVar(&t.kubeconfig, "kubeconfig", "", "Kubeconfig of an administrator, instead of --data-dir. (default $KUBECONFIG, a list as for kubectl, unless --data-dir is given)")
	t.flags = f
}

// named are the kubeconfigs that a flag or the environment names; none when it is the data directory that tells.
func (t *target) named() kubeconfigs {
	if t.kubeconfig != "" {
		return kubeconfigs{"--kubeconfig", []string{t.kubeconfig}}
	}
	if list := os.Getenv("KUBECONFIG"); list != "" && !t.flags.Changed("data-dir") {
		return kubeconfigs{"$KUBECONFIG", filepath.SplitList(list)}
	}
	return kubeconfigs{}
}

// connect makes a client. Nothing is sent yet.
func (t *target) connect() (*frontClient, error) {
	k := t.named()
	if len(k.files) > 0 {
		return k.connect()
	}
	client, err := kubeconfigs{"--data-dir", []string{filepath.Join(t.dataDir, adminKubeconfig)}}.connect()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: give --kubeconfig, or the --data-dir of a server that has been started", err)
	}
	return client, err
}

// connect makes a client of the server of the current context.
func (k kubeconfigs) connect() (*frontClient, error) {
	config, err := k.config()
	if err != nil {
		return nil, err
	}
	client, err := restclient.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.from, err)
	}
	server, _, err := restclient.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.from, err)
	}
	return &frontClient{client, strings.TrimSuffix(server.String(), "/"), registrar}, nil
}
