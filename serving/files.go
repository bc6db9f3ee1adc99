package serving

import (
	"context"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

// rereadPeriod is how often files are looked at. Polling sees what notifications miss: files on
// network disks, and directories that are replaced by renaming, as Kubernetes does with secrets.
const rereadPeriod = time.Minute

// File is a file that may change while the server runs: a CertFile or a CAFile.
type File interface {
	// Reload reads the file again and tells whether it has changed.
	Reload() (changed bool, err error)
	// String is the file's name.
	String() string
}

// Files are read again together, so that who depends on several of them hears of a change once.
type Files struct {
	files []File

	mu       sync.Mutex // one Reload at a time
	reported map[File]string
}

// NewFiles returns a group of files.
func NewFiles(files ...File) *Files {
	return &Files{files: files, reported: map[File]string{}}
}

// Reload reads all files again and tells whether one has changed. One that cannot be used is logged,
// once for each reason, and stays what it was.
func (f *Files) Reload(ctx context.Context) (changed bool) {
	logger := klog.FromContext(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range f.files {
		fresh, err := file.Reload()
		if err != nil {
			if f.reported[file] != err.Error() {
				logger.Error(err, "Keeping what was read before", "file", file.String())
				f.reported[file] = err.Error()
			}
			continue
		}
		delete(f.reported, file)
		if fresh {
			logger.Info("Reloaded", "file", file.String())
			changed = true
		}
	}
	return changed
}

// Run reloads every minute until ctx ends, and calls onChange after each round that found a change.
func (f *Files) Run(ctx context.Context, onChange func()) error {
	ticker := time.NewTicker(rereadPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if f.Reload(ctx) {
			onChange()
		}
	}
}
