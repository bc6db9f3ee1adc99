package registry

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/handler/rest"
)

// Get returns one object: the newest, or one as fresh as opts asks for.
func (s *Store) Get(ctx context.Context, namespace, name string, opts *metav1.GetOptions) (rest.Object, error) {
	var read storage.Read
	if opts != nil && opts.ResourceVersion != "" {
		revision, err := parseRevision(opts.ResourceVersion)
		if err != nil {
			return nil, err
		}
		read = notOlderThan(revision)
	}
	obj, err := s.get(ctx, namespace, name, read)
	if err != nil {
		return nil, s.readError(ctx, name, read.NotOlderThan, err)
	}
	return obj, nil
}

// notOlderThan is how clients say how fresh is enough: 0 accepts whatever there is.
func notOlderThan(revision int64) storage.Read {
	return storage.Read{Any: revision == 0, NotOlderThan: revision}
}

func (s *Store) readError(ctx context.Context, name string, asked int64, err error) error {
	if errors.Is(err, storage.ErrFuture) {
		return s.tooNew(ctx, asked)
	}
	return s.explain(ctx, name, err)
}

// List returns one consistent state of a collection, or a page of it.
func (s *Store) List(ctx context.Context, namespace string, opts *rest.ListOptions) (*rest.List, error) {
	if opts == nil {
		opts = &rest.ListOptions{}
	}
	sel, err := s.selector(namespace, opts)
	if err != nil {
		return nil, err
	}
	snapshot, start, err := s.snapshot(ctx, opts)
	if err != nil {
		return nil, err
	}
	limit := opts.Limit
	if opts.Continue == "" && opts.ResourceVersion == "0" {
		limit = 0 // any state will do, and the whole of it is at hand (contract 7.7)
	}
	list := &rest.List{ResourceVersion: snapshot.Revision()}
	if limit <= 0 && s.codec == nil {
		list.Items = func(yield func(rest.Object) bool) {
			ascend(snapshot, namespace, start, &sel, func(o *storage.Object) bool { return yield(o) })
		}
		return list, nil
	}
	page, err := s.page(ctx, snapshot, namespace, start, &sel, limit, list)
	if err != nil {
		return nil, err
	}
	list.Items = func(yield func(rest.Object) bool) {
		for _, o := range page {
			if !yield(o) {
				return
			}
		}
	}
	return list, nil
}

// ascend yields what sel matches, in key order.
func ascend(snapshot *storage.Snapshot, namespace, start string, sel *selector, yield func(*storage.Object) bool) {
	if sel.name != "" {
		if o, ok := snapshot.Get(namespace, sel.name); ok && o.Key() >= start && sel.matches(o) {
			yield(o)
		}
		return
	}
	snapshot.Ascend(namespace, start, func(o *storage.Object) bool { return !sel.matches(o) || yield(o) })
}

// ascendShown is ascend in the registry's version; sel selects what is shown. Objects are converted in batches of most, or all
// at once when that is 0.
func (s *Store) ascendShown(ctx context.Context, snapshot *storage.Snapshot, namespace, start string, sel *selector, most int64, yield func(*storage.Object) bool) error {
	if s.codec == nil {
		ascend(snapshot, namespace, start, sel, yield)
		return nil
	}
	every := &selector{all: true, name: sel.name}
	for {
		var batch []*storage.Object
		full := false
		ascend(snapshot, namespace, start, every, func(o *storage.Object) bool {
			if full = most > 0 && int64(len(batch)) == most; !full {
				batch = append(batch, o)
			}
			return !full
		})
		if len(batch) == 0 {
			return nil
		}
		start = batch[len(batch)-1].Key() + "\x00"
		batch, err := s.shownAll(ctx, batch)
		if err != nil {
			return err
		}
		for _, o := range batch {
			if sel.matches(o) && !yield(o) {
				return nil
			}
		}
		if !full {
			return nil
		}
	}
}

// page collects up to limit objects, or all when that is 0, and says in list how to go on when there are more.
func (s *Store) page(ctx context.Context, snapshot *storage.Snapshot, namespace, start string, sel *selector, limit int64, list *rest.List) ([]*storage.Object, error) {
	var page []*storage.Object
	more := false
	most := int64(0)
	if limit > 0 {
		most = limit + 1 // one more tells whether there are more
	}
	err := s.ascendShown(ctx, snapshot, namespace, start, sel, most, func(o *storage.Object) bool {
		if more = limit > 0 && int64(len(page)) == limit; more {
			return false
		}
		page = append(page, o)
		return true
	})
	if err != nil || !more {
		return page, err
	}
	next := page[len(page)-1].Key() + "\x00"
	list.Continue = continueToken{Revision: snapshot.Revision(), Start: next}.encode()
	if sel.all {
		remaining := s.remaining(snapshot, namespace, start, next, len(page))
		list.RemainingItemCount = &remaining
	}
	return page, nil
}

// remaining counts what follows a page. The first page of everything needs no walk.
func (s *Store) remaining(snapshot *storage.Snapshot, namespace, start, next string, page int) int64 {
	if namespace == "" && start == "" {
		return int64(snapshot.Len() - page)
	}
	n := int64(0)
	snapshot.Ascend(namespace, next, func(*storage.Object) bool { n++; return true })
	return n
}

// snapshot returns the state that a list is made of, and the key it begins at (contract 7.7).
func (s *Store) snapshot(ctx context.Context, opts *rest.ListOptions) (*storage.Snapshot, string, error) {
	if opts.Continue != "" {
		return s.continued(ctx, opts)
	}
	revision, err := parseRevision(opts.ResourceVersion)
	if err != nil {
		return nil, "", err
	}
	var read storage.Read
	switch match := opts.ResourceVersionMatch; {
	case opts.ResourceVersion == "":
	case match == metav1.ResourceVersionMatchExact, match == "" && opts.Limit > 0 && revision > 0:
		snapshot, err := s.cache.SnapshotAt(ctx, revision)
		if errors.Is(err, storage.ErrCompacted) {
			return nil, "", apierrors.NewResourceExpired("The resourceVersion for the provided list is too old.")
		}
		return snapshot, "", s.readError(ctx, "", revision, err)
	default:
		read = notOlderThan(revision)
	}
	snapshot, err := s.cache.Snapshot(ctx, read)
	return snapshot, "", s.readError(ctx, "", revision, err)
}

// continued returns the state that an earlier page was made of.
func (s *Store) continued(ctx context.Context, opts *rest.ListOptions) (*storage.Snapshot, string, error) {
	if opts.ResourceVersion != "" && opts.ResourceVersion != "0" {
		return nil, "", apierrors.NewBadRequest("specifying resource version is not allowed when using continue")
	}
	token, err := parseContinue(opts.Continue)
	if err != nil {
		return nil, "", err
	}
	if token.Revision == inconsistent {
		snapshot, err := s.cache.Snapshot(ctx, storage.Read{})
		return snapshot, token.Start, s.explain(ctx, "", err)
	}
	snapshot, err := s.cache.SnapshotAt(ctx, token.Revision)
	if errors.Is(err, storage.ErrCompacted) {
		return nil, "", expiredToken(token)
	}
	return snapshot, token.Start, s.readError(ctx, "", token.Revision, err)
}
