package garbagecollection_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestNothingIsCollectedOnDoubt(t *testing.T) {
	own, other := newBed("flowers"), newBed("weeds")
	away := other.plant("away")
	other.lose(errors.New("out of reach"))
	changed := collect(t, []*bed{own}, other)
	own.plant("of-one-out-of-reach", away)
	own.plant("of-an-unknown-kind", metav1.OwnerReference{APIVersion: "garden/v1", Kind: "trees", Name: "x", UID: "x"})
	collected(t, own)
	for _, name := range []string{"of-one-out-of-reach", "of-an-unknown-kind"} {
		if !own.has(name) {
			t.Errorf("%s was collected", name)
		}
	}
	other.recover()
	other.remove("away")
	changed()
	eventually(t, "what had been kept on doubt goes", func() bool { return !own.has("of-one-out-of-reach") })
}

func TestAServerThatHangsHoldsUpNobody(t *testing.T) {
	own, other := newBed("flowers"), newBed("weeds")
	owner := other.plant("owner")
	collect(t, []*bed{own}, other)
	other.hang()
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
		own.plant(name, owner)
	}
	collected(t, own)
}

func TestAWebhookThatHangsHoldsUpNoOtherResource(t *testing.T) {
	slow, own := newBed("flowers"), newBed("weeds")
	collect(t, []*bed{slow, own})
	slow.mu.Lock()
	slow.writes = true
	slow.mu.Unlock()
	gone := metav1.OwnerReference{APIVersion: "garden/v1", Kind: "weeds", Name: "gone", UID: "gone"}
	for i := range 100 {
		slow.plant(fmt.Sprint("slow-", i), gone)
	}
	begin := time.Now()
	collected(t, own)
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("another resource waited for %v", took)
	}
}

func TestAServerThatIsAwayIsNotAskedForEachOfItsObjects(t *testing.T) {
	own, away, there := newBed("flowers"), newBed("weeds"), newBed("trees")
	gone := metav1.OwnerReference{APIVersion: "garden/v1", Kind: "flowers", Name: "gone", UID: "gone"}
	owner := there.plant("owner")
	own.plant("child", owner)
	changed := collect(t, []*bed{own}, away, there)
	collected(t, there)
	away.hang()
	away.lose(errors.New("out of reach"))
	for i := range 100 {
		away.plant(fmt.Sprint("x-", i), gone)
	}
	there.remove("owner")
	changed()
	eventually(t, "what another server owned goes", func() bool { return !own.has("child") })
	away.recover()
	changed()
	eventually(t, "what the server had meanwhile goes, too", func() bool { return !away.has("x-0") && !away.has("x-99") })
}

func TestWhatHappenedInAGapIsNoticed(t *testing.T) {
	own, other := newBed("flowers"), newBed("weeds")
	collect(t, []*bed{own}, other)
	owner := other.plant("owner")
	own.plant("child", owner)
	collected(t, own)
	if !own.has("child") {
		t.Fatal("the child was collected before its owner had gone")
	}
	other.lose(nil) // it is followed anew, and nobody tells of what goes meanwhile
	other.mu.Lock()
	delete(other.objects, "owner")
	other.mu.Unlock()
	eventually(t, "the child is collected", func() bool { return !own.has("child") })
}

func TestOrphaningWaitsForEveryServer(t *testing.T) {
	own, other := newBed("flowers"), newBed("weeds")
	owner := own.plant("owner")
	other.plant("child", owner)
	other.lose(errors.New("out of reach"))
	changed := collect(t, []*bed{own}, other)
	own.begin("owner", metav1.FinalizerOrphanDependents)
	collected(t, own)
	if !own.has("owner") {
		t.Fatal("the owner has gone before its dependent could forget it")
	}
	other.recover()
	changed()
	eventually(t, "the owner goes", func() bool { return !own.has("owner") })
	collected(t, own)
	if !other.has("child") || len(other.get("child").Owners) != 0 {
		t.Errorf("the orphan is %+v", other.objects["child"])
	}
}

func TestAForegroundDeletionGoesFromTheLeaves(t *testing.T) {
	own := newBed("flowers")
	collect(t, []*bed{own})
	root := own.plant("root")
	child := own.plant("child", root)
	own.plant("leaf", child)
	collected(t, own)
	own.begin("root", metav1.FinalizerDeleteDependents)
	eventually(t, "the root goes", func() bool { return !own.has("root") })
	if own.has("child") || own.has("leaf") {
		t.Error("the root went before what it owns")
	}
}
