package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"
)

// revisionBump is what a restored store's revision is ahead of the backup's. Clients have seen revisions that the backup
// does not know: were those given out again, a client would take what is new for what it has. So all earlier revisions
// become too old, every watcher is told 410 and lists anew. A billion is ten years of three writes a second.
const revisionBump = 1_000_000_000

// ErrNotEmpty: there is a store in the directory already.
var ErrNotEmpty = errors.New("there is a store already")

// RestoreProgress is told how much of a step is done, in bytes, several times a second.
type RestoreProgress func(step string, done, total int64)

// Restore makes the embedded store of a data directory from a backup. The directory must not hold a store. A restore that is
// interrupted leaves no store, and Open refuses the directory until a restore has been completed.
func Restore(ctx context.Context, file, dataDir string, progress RestoreProgress) error {
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	lock, err := lockDir(dataDir)
	if err != nil {
		return err
	}
	defer lock.release()
	r := restoration{file: file, dir: filepath.Join(dataDir, "etcd"), progress: progress}
	if err := r.check(); err != nil {
		return err
	}
	if err := r.verify(ctx); err != nil {
		return fmt.Errorf("verifying %s: %w", file, err)
	}
	if err := r.run(ctx); err != nil {
		return fmt.Errorf("restoring %s: %w", file, errors.Join(err, os.RemoveAll(unfinished(r.dir))))
	}
	return nil
}

// restoration is one restore: made beside the place where a start looks for a store, and moved there when it is complete.
type restoration struct {
	file, dir string
	progress  RestoreProgress
	size      int64
}

// unfinished is where the store of dir is while it is being restored.
func unfinished(dir string) string { return dir + ".restoring" }

// check refuses a directory with a store in it.
func (r *restoration) check() error {
	if birth := newBirth(r.dir); birth.interrupted() {
		// What such a start leaves holds nothing (see birth).
		return errors.Join(os.RemoveAll(r.dir), os.Remove(birth.mark))
	}
	switch _, err := os.Lstat(r.dir); {
	case err == nil:
		return fmt.Errorf("%w: %s; choose another --data-dir, or move it away", ErrNotEmpty, r.dir)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("looking for a store: %w", err)
	}
	return nil
}

// verify reads the whole backup before anything is made of it.
func (r *restoration) verify(ctx context.Context) error {
	f, err := os.Open(r.file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	r.size = info.Size()
	sum := NewChecksum()
	read := &counter{}
	defer r.watch("verifying", read.count)()
	if _, err := io.Copy(io.MultiWriter(sum, read), ended{ctx, f}); err != nil {
		return err
	}
	return sum.Verify()
}

func (r *restoration) run(ctx context.Context) error {
	dir := unfinished(r.dir)
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing what an interrupted restore left: %w", err)
	}
	db := filepath.Join(dir, "member", "snap", "db")
	stop := r.watch("restoring", func() int64 {
		info, err := os.Stat(db)
		if err != nil {
			return 0
		}
		return min(info.Size(), r.size)
	})
	err := snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath:        r.file,
		OutputDataDir:       dir,
		Name:                memberName,
		PeerURLs:            []string{memberURL().String()},
		InitialCluster:      memberName + "=" + memberURL().String(),
		InitialClusterToken: "portico",
		RevisionBump:        revisionBump,
		MarkCompacted:       true,
	})
	stop()
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := syncTree(dir); err != nil {
		return err
	}
	if err := os.Rename(dir, r.dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(r.dir))
}

// watch tells the progress of a step until the function it returns is called.
func (r *restoration) watch(step string, done func() int64) (stop func()) {
	if r.progress == nil {
		return func() {}
	}
	over := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			r.progress(step, done(), r.size)
			select {
			case <-tick.C:
			case <-over:
				return
			}
		}
	})
	return func() {
		close(over)
		telling.Wait()
		r.progress(step, done(), r.size)
	}
}

// syncTree puts all files and directories of a tree on disk.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncDir(path) // a file is synced the same way
	})
}
