package storage

import (
	"context"
	"errors"
	"expvar"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"k8s.io/klog/v2"
)

const (
	// One member needs no heartbeat, and is told when to elect itself: see elect. All that is left for the ticks
	// to do is to cost processor time, at 10 ms more than all else that an idle server does.
	electionMilliseconds = 500
	tickMilliseconds     = 100
	// electEvery is how often it is looked whether the member can be told.
	electEvery = 2 * time.Millisecond

	// What is replayed at a start is at most the log since the last snapshot. All of that must stay in memory while
	// it is: a candidate looks through what raft does not know to be applied yet, and panics when etcd, which is
	// ahead of it, has dropped some. So the log in memory is longer than snapshots are apart.
	snapshotEvery = 1000
	logInMemory   = 2 * snapshotEvery

	quotaBytes = 8 << 30
	// maxRequestBytes leaves room around the largest object a client may send (3 MiB, contract 7.5).
	maxRequestBytes = 4 << 20
)

// inProcess is an etcd of one member inside this process. It listens on nothing.
type inProcess struct {
	soleWriter
	dir     string
	lock    *dirLock
	started atomic.Bool
	fail    func(error)
	etcd    *embed.Etcd
	kv      *clientv3.Client
	hatch   *hatch // nil when nobody else is let in
}

// The embedded etcd is a cluster of one member, which only talks to itself.
const memberName = "portico"

func memberURL() *url.URL { return &url.URL{Scheme: "http", Host: "127.0.0.1:2380"} }

// embedded starts the etcd under the data directory and returns when it takes writes.
func embedded(ctx context.Context, cfg Config) (*inProcess, error) {
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	lock, err := lockDir(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	e := &inProcess{dir: filepath.Join(cfg.DataDir, "etcd"), lock: lock, fail: cfg.OnFailure}
	if err := e.start(ctx); err != nil {
		lock.release()
		return nil, err
	}
	if cfg.Listen != "" {
		if e.hatch, err = openHatch(e.etcd.Server, cfg.Listen); err != nil {
			return nil, errors.Join(err, e.close())
		}
	}
	return e, nil
}

func (e *inProcess) start(ctx context.Context) error {
	birth := newBirth(e.dir)
	if err := birth.begin(); err != nil {
		return err
	}
	failure := &failure{started: &e.started, failed: make(chan error, 1), fail: e.fail}
	launched := make(chan *embed.Etcd, 1)
	go launch(e.config(klog.FromContext(ctx), failure), launched, failure.failed)
	select {
	case e.etcd = <-launched:
	case err := <-failure.failed:
		return e.unusable(err)
	case <-ctx.Done():
		return e.unusable(ctx.Err())
	}
	if err := e.elect(ctx, failure.failed); err != nil {
		return e.unusable(err)
	}
	select {
	case <-e.etcd.Server.ReadyNotify():
	case err := <-failure.failed:
		return e.unusable(err)
	case <-ctx.Done():
		e.etcd.Close()
		return e.unusable(fmt.Errorf("not ready in time: %w", ctx.Err()))
	}
	if err := birth.end(); err != nil {
		e.etcd.Close()
		return err
	}
	e.started.Store(true)
	e.kv = v3client.New(e.etcd.Server)
	return nil
}

// elect makes the only member the leader. By itself it would wait for a leader to be heard of first, one or two
// election timeouts long; a message that hands leadership over needs no waiting.
func (e *inProcess) elect(ctx context.Context, failed <-chan error) error {
	server := e.etcd.Server
	self := uint64(server.MemberID())
	for server.Lead() == 0 {
		if replayed(server) {
			if err := server.Process(ctx, &raftpb.Message{Type: raftpb.MsgTimeoutNow.Enum(), From: &self, To: &self}); err != nil {
				return fmt.Errorf("electing the only member: %w", err)
			}
		}
		select {
		case <-time.After(electEvery):
		case err := <-failed:
			return err
		case <-ctx.Done():
			e.etcd.Close()
			return fmt.Errorf("not ready in time: %w", ctx.Err())
		}
	}
	return nil
}

// replayed tells whether raft knows that what its log holds has been applied. A candidate that does not know looks
// through entries that the etcd may have dropped from memory by then, and panics. Only what the etcd publishes
// about its raft tells that: the server's own applied index runs ahead of it. Of several etcds in one
// process the newest is told of, so the server's index is asked too.
func replayed(server *etcdserver.EtcdServer) bool {
	published, ok := expvar.Get("raft.status").(expvar.Func)
	if !ok {
		return false // it elects itself after the timeout
	}
	status, ok := published.Value().(raft.Status)
	return ok && status.HardState != nil && status.Applied >= status.GetCommit() && status.Applied >= server.CommittedIndex()
}

// unusable is the one line for a store that cannot be opened. What was launched is not closed: it has given up halfway
// in one of its goroutines, and waiting for the others could last for ever. The process ends with this error.
func (e *inProcess) unusable(err error) error {
	return fmt.Errorf("opening the store in %s: %w; restore a backup there, or move the directory away to start with an empty store", e.dir, err)
}

// launch starts an etcd. It does not return when the etcd gives up: see failure.
func launch(c *embed.Config, launched chan<- *embed.Etcd, failed chan<- error) {
	defer func() {
		if r := recover(); r != nil {
			failed <- fmt.Errorf("%v", r)
		}
	}()
	etcd, err := embed.StartEtcd(c)
	if err != nil {
		failed <- err
		return
	}
	launched <- etcd
}

func (e *inProcess) config(log klog.Logger, failure *failure) *embed.Config {
	c := embed.NewConfig()
	c.Name = memberName
	c.Dir = e.dir
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(quietLogger(log, &e.started, zap.WithFatalHook(failure), zap.WithPanicHook(failure)))

	// Nothing listens. The peer address is only the member's name towards itself; an IP, so that nothing asks the DNS.
	self := *memberURL()
	c.ListenPeerUrls, c.ListenClientUrls, c.ListenClientHttpUrls = nil, nil, nil
	c.AdvertisePeerUrls = []url.URL{self}
	c.AdvertiseClientUrls = []url.URL{self}
	c.InitialCluster = c.Name + "=" + self.String()
	c.PreVote = false // there is nobody to ask
	c.StrictReconfigCheck = false
	c.EnableGRPCGateway = false

	c.TickMs, c.ElectionMs = tickMilliseconds, electionMilliseconds
	c.QuotaBackendBytes = quotaBytes
	c.MaxRequestBytes = maxRequestBytes
	c.SnapshotCount, c.SnapshotCatchUpEntries = snapshotEvery, logInMemory
	// Compaction is ours: see Store.maintain.
	c.AutoCompactionRetention = "0"
	return c
}

func (e *inProcess) client() *clientv3.Client { return e.kv }

// revision asks the etcd when this process is not the only one that writes. It is in the same process, and has applied
// whatever it has acknowledged.
func (e *inProcess) revision(ctx context.Context) (int64, error) {
	if e.hatch != nil {
		return e.etcd.Server.KV().Rev(), nil
	}
	return e.soleWriter.revision(ctx)
}

func (e *inProcess) watchContext(ctx context.Context) context.Context { return ctx }

func (e *inProcess) err() error {
	select {
	case <-e.etcd.Server.StopNotify():
		return errors.New("the embedded etcd has stopped")
	default:
		return nil
	}
}

func (e *inProcess) close() error {
	var hatchErr error
	if e.hatch != nil {
		hatchErr = e.hatch.close()
	}
	err := e.kv.Close()
	if errors.Is(err, context.Canceled) {
		err = nil // how the client of an etcd in the same process says goodbye
	}
	e.etcd.Close()
	return errors.Join(hatchErr, err, e.lock.release())
}
