package storage

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/fields"

	"github.com/portico-api/portico/metrics"
)

// Config says where objects are kept.
type Config struct {
	DataDir                   string   // the embedded etcd's directory; used when Servers is empty
	Listen                    string   // path of a socket that lets etcdctl into the embedded etcd; empty for none
	Servers                   []string // a cluster's client URLs
	Prefix                    string   // key prefix, default "/registry"
	CAFile, CertFile, KeyFile string   // TLS to the cluster
	// CompactionInterval is how long the etcd keeps its history at least (twice that at most);
	// default 5 min, negative never compacts.
	CompactionInterval time.Duration
	// StartTimeout bounds how long Open waits for the etcd to answer; default 15 s.
	StartTimeout time.Duration
	Metrics      *metrics.Storage // nil observes nothing
	// OnFailure is told when the embedded etcd can no longer keep what it promises (its disk, most likely), and has to end the
	// process: nothing more may be acknowledged. nil panics.
	OnFailure func(error)
}

const (
	defaultPrefix       = "/registry"
	defaultCompaction   = 5 * time.Minute
	defaultStartTimeout = 15 * time.Second
	// readTimeout is how long a read waits for the cache to reach its revision (contract 7.7).
	readTimeout = 3 * time.Second
	// requestTimeout bounds a request to the etcd: an answer that takes longer will not come.
	requestTimeout = 10 * time.Second
)

func (c Config) withDefaults() (Config, error) {
	if c.DataDir == "" && len(c.Servers) == 0 {
		return c, errors.New("neither a data directory nor the servers of an etcd cluster are given")
	}
	if c.Prefix == "" {
		c.Prefix = defaultPrefix
	}
	// etcd keys are flat; a prefix "/registry" must not match "/registry2".
	c.Prefix = "/" + strings.Trim(c.Prefix, "/") + "/"
	if c.CompactionInterval == 0 {
		c.CompactionInterval = defaultCompaction
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = defaultStartTimeout
	}
	return c, nil
}

// ResourceConfig says how one resource is stored.
type ResourceConfig struct {
	Group, Resource string // for metrics
	// Path is the key path below the store's prefix: "configmaps", "services/specs",
	// "apiregistration.k8s.io/apiservices".
	Path       string
	Namespaced bool
	// Fields are the selectable fields of an object beyond metadata.name and metadata.namespace,
	// taken from its JSON once, when it enters the cache; nil for none.
	Fields func(json []byte) fields.Set
	// Read makes the bytes that clients are shown of those that are stored, once, when an object enters the cache; nil shows
	// what is stored. It returns what it was given when there is nothing to change. rewritten tells that an object is to be stored anew
	// although a client changes nothing of it.
	Read func(json []byte) (shown []byte, rewritten bool)
}

func (c ResourceConfig) check() error {
	if c.Path == "" || strings.Trim(c.Path, "/") != c.Path || strings.Contains(c.Path, "//") {
		return fmt.Errorf("key path %q is not a path of the form resource or group/resource", c.Path)
	}
	return nil
}
