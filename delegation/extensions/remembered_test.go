package extensions

import (
	"errors"
	"runtime"
	"testing"
)

func TestADefinitionIsRememberedAsLongAsSomebodyHasIt(t *testing.T) {
	loaded, failing := 0, true
	load := remembered(func() (*definition, error) {
		if failing {
			return nil, errors.New("the store")
		}
		loaded++
		return &definition{}, nil
	})
	if _, err := load(); err == nil {
		t.Error("the error was lost")
	}
	failing = false
	first, err := load()
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	if again, err := load(); again != first || err != nil || loaded != 1 {
		t.Errorf("loaded %d times, %v", loaded, err)
	}
	runtime.KeepAlive(first)
	first = nil
	runtime.GC()
	if _, err := load(); err != nil || loaded != 2 {
		t.Errorf("loaded %d times, want 2 when nobody had it any more: %v", loaded, err)
	}
}
