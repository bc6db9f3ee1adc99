package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// birth guards the first start of an etcd. A directory whose etcd was killed between creating its log and
// committing its first member never becomes ready again. So a mark lies beside the directory until the etcd has been ready
// once; a directory found with the mark holds nothing that was ever acknowledged, and is made anew. (Making it elsewhere
// and renaming it would mean to start the etcd twice.)
type birth struct {
	dir, mark string
	first     bool
}

func newBirth(dir string) *birth { return &birth{dir: dir, mark: dir + ".unborn"} }

// interrupted tells whether a first start began and did not end.
func (b *birth) interrupted() bool {
	_, err := os.Lstat(b.mark)
	return err == nil
}

// begin is called before the etcd is started.
func (b *birth) begin() error {
	switch _, err := os.Lstat(b.mark); {
	case err == nil:
		b.first = true
		if err := os.RemoveAll(b.dir); err != nil {
			return fmt.Errorf("removing what an interrupted first start left: %w", err)
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("looking for an interrupted first start: %w", err)
	}
	switch _, err := os.Lstat(b.dir); {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("looking for the store: %w", err)
	}
	if _, err := os.Lstat(unfinished(b.dir)); err == nil {
		// An empty store is not what the operator wants here.
		return fmt.Errorf("a restore was interrupted: run it again, or remove %s to start with an empty store", unfinished(b.dir))
	}
	b.first = true
	if err := os.WriteFile(b.mark, nil, 0o600); err != nil {
		return fmt.Errorf("marking the first start: %w", err)
	}
	// On disk before the directory is, or a power cut could leave the directory without its mark.
	return syncDir(filepath.Dir(b.dir))
}

// end is called when the etcd is ready, before anything is acknowledged.
func (b *birth) end() error {
	if !b.first {
		return nil
	}
	if err := os.Remove(b.mark); err != nil {
		return fmt.Errorf("unmarking the first start: %w", err)
	}
	// On disk before the first write is acknowledged, or a power cut could bring the mark back.
	return syncDir(filepath.Dir(b.dir))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}
	return nil
}
