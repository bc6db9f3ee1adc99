package delegation_test

import (
	"testing"

	"github.com/portico-api/portico/delegation"
)

func TestAListenerThatHasStoppedIsNotCalled(t *testing.T) {
	var l delegation.Listeners
	one, two := 0, 0
	stop := l.Add(func() { one++ })
	l.Add(func() { two++ })
	l.Notify()
	stop()
	l.Notify()
	if one != 1 || two != 2 {
		t.Errorf("called %d and %d times, want 1 and 2", one, two)
	}
}
