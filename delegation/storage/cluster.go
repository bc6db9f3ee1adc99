package storage

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/klog/v2"
)

// cluster is an etcd elsewhere, shared with other replicas of this program and perhaps with other programs.
type cluster struct {
	etcd *clientv3.Client
	read *sharedRead
}

// dial returns a cluster that has answered once.
func dial(ctx context.Context, cfg Config) (*cluster, error) {
	doing := "connecting to etcd at " + strings.Join(cfg.Servers, ", ")
	tlsConfig, err := clusterTLS(cfg)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	var started atomic.Bool
	client, err := clientv3.New(clientv3.Config{
		// The client outlives the opening.
		Context:              context.WithoutCancel(ctx),
		Endpoints:            cfg.Servers,
		TLS:                  tlsConfig,
		DialTimeout:          cfg.StartTimeout,
		DialKeepAliveTime:    30 * time.Second,
		DialKeepAliveTimeout: 10 * time.Second,
		PermitWithoutStream:  true,
		Logger:               quietLogger(klog.FromContext(ctx), &started),
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if err := firstAnswer(ctx, client, cfg, tlsConfig); err != nil {
		client.Close()
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	started.Store(true)
	c := &cluster{etcd: client}
	c.read = &sharedRead{ask: func(ctx context.Context) (int64, error) { return linearized(ctx, client, cfg.Prefix) }}
	return c, nil
}

// firstAnswer returns when the cluster has answered, or when it is known that it will not.
func firstAnswer(ctx context.Context, client *clientv3.Client, cfg Config, tlsConfig *tls.Config) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel(nil)
	asking.Go(func() {
		if err := objection(ctx, cfg.Servers, tlsConfig); err != nil {
			cancel(err)
		}
	})
	_, err := linearized(ctx, client, cfg.Prefix)
	if cause := context.Cause(ctx); errors.Is(cause, ErrHandshake) {
		return cause
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("interrupted before the store answered: %w", ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("no answer within %v; are the addresses right, and is a majority of the members up? %w", cfg.StartTimeout, err)
	}
	return nil
}

func (c *cluster) client() *clientv3.Client { return c.etcd }

func (c *cluster) revision(ctx context.Context) (int64, error) { return c.read.revision(ctx) }

// acknowledged: others write too, so what passed through here says little.
func (c *cluster) acknowledged(int64) {}

// watchContext makes a member that has lost its leader end the watch, instead of leaving it silent.
func (c *cluster) watchContext(ctx context.Context) context.Context {
	return clientv3.WithRequireLeader(ctx)
}

func (c *cluster) err() error { return nil }

func (c *cluster) close() error { return c.etcd.Close() }
