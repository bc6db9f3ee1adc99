package rest_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/portico-api/portico/handler/rest"
)

func TestStoppingEndsEveryWatch(t *testing.T) {
	defer goleak.VerifyNone(t)
	stopping := make(chan struct{})
	group := rest.NewWatchGroup(stopping)
	first, cancelFirst := context.WithCancel(t.Context())
	second, cancelSecond := context.WithCancel(t.Context())
	left, cancelLeft := context.WithCancel(t.Context())
	leaveFirst, leaveSecond := group.Join(cancelFirst), group.Join(cancelSecond)
	group.Join(cancelLeft)()
	close(stopping)
	<-first.Done()
	<-second.Done()
	if left.Err() != nil {
		t.Error("a watch that had left was cancelled")
	}

	// Who comes while the server stops is ended, too, whether or not others are still about to leave.
	comesLate := func() {
		late, cancelLate := context.WithCancel(t.Context())
		leave := group.Join(cancelLate)
		defer leave()
		if late.Err() == nil {
			t.Error("a watch that came late was not ended")
		}
	}
	comesLate()
	leaveFirst()
	leaveSecond()
	comesLate()
}

func TestAGroupWithoutWatchesHasNoGoroutine(t *testing.T) {
	defer goleak.VerifyNone(t)
	group := rest.NewWatchGroup(make(chan struct{}))
	for range 3 {
		leave := group.Join(func() {})
		leave()
	}
}
