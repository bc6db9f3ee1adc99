package storage_test

import (
	"errors"
	"testing"

	"github.com/portico-api/portico/delegation/storage"
)

// Another form of an object is made again until it is asked for a second time, and then kept.
func TestOtherFormsAreRemembered(t *testing.T) {
	onEngines(t, func(t *testing.T, s *storage.Store) {
		o := create(t, resource(t, s), "a", "x", "1")
		made := 0
		ask := func(form string) {
			t.Helper()
			got, err := o.Remember(form, func() ([]byte, error) { made++; return []byte(form), nil })
			if err != nil || string(got) != form {
				t.Fatalf("Remember(%q): got %q, %v", form, got, err)
			}
		}
		broken := errors.New("broken")
		if _, err := o.Remember("one", func() ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
			t.Errorf("Remember of what cannot be made: got %v", err)
		}
		for range 4 {
			ask("one")
		}
		if made != 2 {
			t.Errorf("a form that was asked for 4 times was made %d times, want 2", made)
		}
		ask("other")
		ask("one")
		if made != 3 {
			t.Errorf("made %d forms, want 3: another form does not push out the first", made)
		}
	})
}
