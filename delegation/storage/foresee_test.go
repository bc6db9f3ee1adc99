package storage_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/portico-api/portico/delegation/storage"
)

// What is shown of an object is made by who writes it, once, and not again by the goroutine that feeds all caches.
func TestWhatIsShownIsMadeOncePerWrite(t *testing.T) {
	onEngines(t, func(t *testing.T, s *storage.Store) {
		var made atomic.Int32
		c := resource(t, s, func(cfg *storage.ResourceConfig) {
			cfg.Read = func(stored []byte) ([]byte, bool) {
				made.Add(1)
				return bytes.Replace(stored, []byte(`"data"`), []byte(`"seen"`), 1), false
			}
		})
		shows := func(payload string) bool {
			o, err := c.Get(t.Context(), "a", "x", storage.Read{})
			return err == nil && bytes.Contains(o.JSON(), []byte(`"seen":"`+payload+`"`))
		}
		o := create(t, c, "a", "x", "1")
		for i := range 3 {
			o = update(t, c, o, fmt.Sprint("again", i))
			if !shows(fmt.Sprint("again", i)) {
				t.Errorf("update %d is not shown", i)
			}
		}
		if got := made.Load(); got != 4 {
			t.Errorf("it was made %d times for 4 writes", got)
		}
		if _, err := c.Update(t.Context(), "a", "x", thing("x", "late"), o.ResourceVersion()-1, 0); !errors.Is(err, storage.ErrConflict) {
			t.Errorf("got %v, want a conflict", err)
		}
		if got := c.Foreseen(); got != 0 {
			t.Errorf("%d writes are still remembered", got)
		}
		// Another replica's write comes without.
		if err := storage.PutRaw(t.Context(), s, c.Path()+"/a/x", string(thing("x", "elsewhere"))); err != nil {
			t.Fatal(err)
		}
		for begin := time.Now(); !shows("elsewhere"); time.Sleep(time.Millisecond) {
			if time.Since(begin) > 10*time.Second {
				t.Fatal("what another has written is not shown")
			}
		}
	})
}
