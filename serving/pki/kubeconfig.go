package pki

import (
	"bytes"
	"fmt"
	"os"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Kubeconfig is what a kubeconfig file for one server and one user says.
type Kubeconfig struct {
	Server string // URL
	CAFile string // vouches for the server
	Client Pair   // the user's certificate
}

// Write writes the kubeconfig to file with mode 0600, contents of the named files included, so that
// it can be copied to another machine. A file that says the same already is left alone.
func (k Kubeconfig) Write(file string) error {
	cluster := api.NewCluster()
	cluster.Server = k.Server
	user := api.NewAuthInfo()
	for _, part := range []struct {
		from string
		to   *[]byte
	}{
		{k.CAFile, &cluster.CertificateAuthorityData},
		{k.Client.CertFile, &user.ClientCertificateData},
		{k.Client.KeyFile, &user.ClientKeyData},
	} {
		data, err := os.ReadFile(part.from)
		if err != nil {
			return fmt.Errorf("reading %s for kubeconfig %s: %w", part.from, file, err)
		}
		*part.to = data
	}
	const name, admin = "portico", "portico-admin"
	config := api.NewConfig()
	config.Clusters[name] = cluster
	config.AuthInfos[admin] = user
	context := api.NewContext()
	context.Cluster, context.AuthInfo = name, admin
	config.Contexts[name] = context
	config.CurrentContext = name

	data, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("encoding kubeconfig %s: %w", file, err)
	}
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, data) {
		return os.Chmod(file, 0o600)
	}
	return WriteFile(file, data, 0o600)
}
