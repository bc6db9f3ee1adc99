package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/handler/rest"
)

const (
	// bookmarkEvery is how often a watcher that wants bookmarks learns how far it has seen.
	bookmarkEvery = time.Minute
	// lastBookmark is how long before its end a watch gets one more, so that its successor resumes there.
	lastBookmark = 2 * time.Second
	// initialBatch is how many objects of the initial state are handed out at once.
	initialBatch = 256
)

// watcher is one client's place in a resource's changes: first what there is, if it asked for that, then
// what happens, as far as its selectors let it see.
type watcher struct {
	ctx       context.Context // the watch lasts as long as it does
	store     *Store
	sel       selector
	namespace string
	since     int64 // where the client wanted to begin, to be told when that is too old

	initial *storage.Snapshot // what is still to be shown of it; nil when that is over
	from    string            // key of the next object of initial
	endMark bool              // a bookmark tells the end of the initial state

	cursor    *storage.Cursor
	seen      int64
	bookmarks bool
	timer     *time.Timer // of the next bookmark; nil while none is to come
	due       atomic.Bool // it has gone off
	events    []rest.Event
}

// Watch returns the changes of a collection from where opts says (contract 7.7). A bookmark comes before
// ctx's deadline if the client allows bookmarks.
func (s *Store) Watch(ctx context.Context, namespace string, opts *rest.ListOptions) (rest.Watch, error) {
	if opts == nil {
		opts = &rest.ListOptions{}
	}
	sel, err := s.selector(namespace, opts)
	if err != nil {
		return nil, err
	}
	revision, err := parseRevision(opts.ResourceVersion)
	if err != nil {
		return nil, err
	}
	w := &watcher{ctx: ctx, store: s, sel: sel, namespace: namespace, since: revision, bookmarks: opts.AllowWatchBookmarks}
	start := revision
	if send := opts.SendInitialEvents; revision == 0 || send != nil && *send {
		snapshot, err := s.startOf(ctx, opts.ResourceVersion, revision)
		if err != nil {
			return nil, err
		}
		start = snapshot.Revision()
		if send == nil || *send {
			w.initial = snapshot
			w.endMark = send != nil && w.bookmarks
		}
	}
	w.seen = start
	if w.cursor, err = s.cache.Watch(ctx, namespace, start); err != nil {
		return nil, w.explain(err)
	}
	return w, nil
}

// startOf is the state that a watch shows first: the newest, or one at least as new as the client asks for.
func (s *Store) startOf(ctx context.Context, version string, revision int64) (*storage.Snapshot, error) {
	var read storage.Read
	if version != "" {
		read = notOlderThan(revision)
	}
	snapshot, err := s.cache.Snapshot(ctx, read)
	return snapshot, s.beginError(ctx, revision, err)
}

// beginError is readError for a watch. When its time is over before the revision that it begins with has come, it is told that and not the time.
func (s *Store) beginError(ctx context.Context, asked int64, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		if now, err := s.cache.Snapshot(ctx, storage.Read{Any: true}); err == nil && now.Revision() < asked {
			return s.tooNew(ctx, asked)
		}
	}
	return s.readError(ctx, "", asked, err)
}

// Next returns what is to be shown next.
func (w *watcher) Next() ([]rest.Event, error) {
	if w.initial != nil {
		events, err := w.nextInitial()
		if err != nil {
			return nil, err
		}
		if len(events) > 0 {
			return events, nil
		}
	}
	for {
		w.awaitBookmark()
		if w.due.Load() && w.ctx.Err() == nil {
			return w.bookmark(), nil
		}
		changes, seen, err := w.cursor.Next()
		w.seen = seen
		switch {
		case err == nil:
			events, err := w.visible(changes)
			if err != nil || len(events) > 0 {
				return events, err
			}
		case w.ctx.Err() != nil:
			return nil, w.ctx.Err()
		case errors.Is(err, storage.ErrClosed):
			return nil, io.EOF // the resource is no longer served
		default:
			return nil, w.explain(err)
		}
	}
}

// nextInitial hands out the next part of the initial state, and at its end the mark of it.
func (w *watcher) nextInitial() ([]rest.Event, error) {
	w.events = w.events[:0]
	more := false
	err := w.store.ascendShown(w.ctx, w.initial, w.namespace, w.from, &w.sel, initialBatch+1, func(o *storage.Object) bool {
		if more = len(w.events) == initialBatch; more {
			return false
		}
		w.events = append(w.events, rest.Event{Type: watch.Added, Object: o, Frame: o.Frame(watch.Added)})
		w.from = o.Key() + "\x00"
		return true
	})
	if err != nil {
		return w.events, err
	}
	w.store.cache.CountInitial(len(w.events))
	if more {
		return w.events, nil
	}
	w.initial = nil
	if w.endMark {
		w.events = append(w.events, w.mark(`"annotations":{"`+metav1.InitialEventsAnnotationKey+`":"true"},`))
	}
	return w.events, nil
}

// visible turns changes into what this watcher sees: an object that comes to match is added, one that no
// longer matches is deleted.
func (w *watcher) visible(changes []*storage.Event) ([]rest.Event, error) {
	w.events = w.events[:0]
	for _, change := range changes {
		if w.store.codec != nil {
			var err error
			if change, err = change.In(w.shown); err != nil {
				return nil, err
			}
		}
		typ := change.Type
		if !w.sel.all {
			is := typ != watch.Deleted && w.sel.matches(change.Object)
			was := change.Previous != nil && w.sel.matches(change.Previous)
			switch {
			case is && was:
				typ = watch.Modified
			case is:
				typ = watch.Added
			case was:
				typ = watch.Deleted
			default:
				continue
			}
		}
		w.events = append(w.events, rest.Event{Type: typ, Object: change.Shown(typ), Frame: change.Frame(typ)})
	}
	return w.events, nil
}

func (w *watcher) shown(o *storage.Object) (*storage.Object, error) {
	return w.store.shown(w.ctx, o)
}

// awaitBookmark has the cursor nudged when the next bookmark is due.
func (w *watcher) awaitBookmark() {
	if !w.bookmarks || w.timer != nil {
		return
	}
	in := bookmarkEvery
	if end, ok := w.ctx.Deadline(); ok {
		last := time.Until(end) - lastBookmark
		if last <= 0 {
			w.bookmarks = false // the last one has been sent, or there is no time for it
			return
		}
		in = min(in, last)
	}
	w.timer = time.AfterFunc(in, func() {
		w.due.Store(true)
		w.cursor.Nudge()
	})
}

// bookmark tells how far the watcher has seen, although nothing it wants to know has happened.
func (w *watcher) bookmark() []rest.Event {
	w.timer = nil
	w.due.Store(false)
	w.events = append(w.events[:0], w.mark(""))
	return w.events
}

// mark is a bookmark; extra is written into its metadata.
func (w *watcher) mark(extra string) rest.Event {
	const head, tail = `{"type":"BOOKMARK","object":`, "}\n"
	apiVersion, kind := w.store.gvk.ToAPIVersionAndKind()
	frame := fmt.Appendf(nil, `%s{"kind":%q,"apiVersion":%q,"metadata":{%s"resourceVersion":"%d"}}%s`, head, kind, apiVersion, extra, w.seen, tail)
	object := &marker{json: frame[len(head) : len(frame)-len(tail)], revision: w.seen}
	return rest.Event{Type: watch.Bookmark, Object: object, Frame: frame}
}

// Stop frees what the watch holds.
func (w *watcher) Stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
	w.cursor.Close()
}

// explain turns what ended the cursor into what the client is told.
func (w *watcher) explain(err error) error {
	if !errors.Is(err, storage.ErrCompacted) {
		return w.store.beginError(w.ctx, w.since, err)
	}
	oldest := w.seen
	if now, snapshotErr := w.store.cache.Snapshot(w.ctx, storage.Read{Any: true}); snapshotErr == nil {
		oldest = now.Revision()
	}
	return apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", max(w.since, w.seen), oldest))
}

// marker is the object of a bookmark.
type marker struct {
	json     []byte
	revision int64
}

func (m *marker) JSON() []byte           { return m.json }
func (m *marker) ResourceVersion() int64 { return m.revision }
func (m *marker) Namespace() string      { return "" }
func (m *marker) Name() string           { return "" }
