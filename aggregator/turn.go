package aggregator

import (
	"context"
	"fmt"
	"time"
)

// turn lets one at a time ask a server for a document: of two answers that cross, the older one would stay, and the second
// question would go without the ETag of the first answer.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// take waits for the turn, and no longer than patience: a server that leaves one question hanging must not hold up all who have
// another. Whoever gets it calls leave.
func (t turn) take(ctx context.Context, patience time.Duration) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the answer to an earlier question: %w", ctx.Err())
	}
}
