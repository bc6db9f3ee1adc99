package fault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What was acknowledged is there after a SIGKILL in the middle of concurrent writes, nothing is there twice or half, and a
// watch that goes on sees every change once.
func TestAKillLosesNothing(t *testing.T) {
	t.Parallel()
	d := newDoor(t, filepath.Join(t.TempDir(), "data"))
	d.start(t)
	client := d.configMaps(t)
	seen := newWitness(t, client)
	promised := newLedger()
	var slowest time.Duration
	for round := range rounds {
		promised.writeUntil(t, client, fmt.Sprint("w", round), 8, 50+rand.IntN(200), d.kill)
		begin := time.Now()
		d.start(t)
		slowest = max(slowest, time.Since(begin))
		promised.settle(t, client)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	seen.testify(t, client, promised)
	t.Logf("%d acknowledged writes were kept over %d kills; ready again after %v at most", promised.acknowledged(), rounds, slowest)
}

// A directory whose first start was killed, at whatever moment, is as good as an empty one, or better.
func TestAFirstStartMayBeKilled(t *testing.T) {
	t.Parallel()
	const during = 2 * time.Second
	for round := range rounds {
		// Most of what can break is made in the first part.
		fraction := float64(round) / float64(rounds)
		delay := time.Duration(float64(during) * fraction * fraction)
		d := newDoor(t, filepath.Join(t.TempDir(), "data"))
		d.launch(t)
		// The one sleep that is meant: the kill has to come at different moments of the start.
		time.Sleep(delay)
		d.kill()
		d.start(t)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if _, err := d.configMaps(t).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "usable"}}, metav1.CreateOptions{}); err != nil {
			t.Errorf("killed after %v, started again: %v", delay, err)
		}
		cancel()
		d.stop(t)
		if t.Failed() {
			return
		}
	}
}
