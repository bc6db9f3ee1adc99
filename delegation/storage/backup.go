package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// Backup writes a snapshot of the whole etcd, of one revision, in etcd's own format: the database, then its checksum.
// Reads and writes go on meanwhile.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	snapshot, err := s.engine.client().Snapshot(ctx)
	if err != nil {
		return explain(ctx, "asking the store for a snapshot", err)
	}
	defer snapshot.Close()
	if _, err := io.Copy(w, snapshot); err != nil {
		return fmt.Errorf("copying the snapshot: %w", err)
	}
	return nil
}

// ErrBackupDamaged: a file is not a backup, or not a whole one.
var ErrBackupDamaged = errors.New("not a complete backup")

// boltPage is the unit that a database's size is a multiple of; what is beyond that is the checksum.
const boltPage = 512

// Checksum verifies a backup while it is written to it.
type Checksum struct {
	last []byte // the newest bytes: they may be the checksum
	size int64
	hash interface {
		io.Writer
		Sum([]byte) []byte
	}
}

// NewChecksum returns the verification of one backup.
func NewChecksum() *Checksum { return &Checksum{hash: sha256.New()} }

// Write takes the next bytes of the backup. It never fails.
func (c *Checksum) Write(b []byte) (int, error) {
	c.size += int64(len(b))
	c.last = append(c.last, b...)
	if n := len(c.last) - sha256.Size; n > 0 {
		c.hash.Write(c.last[:n])
		c.last = append(c.last[:0], c.last[n:]...)
	}
	return len(b), nil
}

// Verify returns ErrBackupDamaged unless everything that was written is one complete backup.
func (c *Checksum) Verify() error {
	switch {
	case c.size <= sha256.Size || c.size%boltPage != sha256.Size:
		return fmt.Errorf("%w: %d bytes are not a database and its checksum", ErrBackupDamaged, c.size)
	case !bytes.Equal(c.hash.Sum(nil), c.last):
		return fmt.Errorf("%w: the checksum at its end is another than that of its content", ErrBackupDamaged)
	}
	return nil
}
