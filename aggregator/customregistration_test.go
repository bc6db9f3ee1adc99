package aggregator_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// customs are group-versions of custom resources that nobody serves.
type customs struct {
	synced chan struct{}

	mu  sync.Mutex
	all []schema.GroupVersion
	on  func()
}

func newCustoms() *customs {
	c := &customs{synced: make(chan struct{}), on: func() {}}
	close(c.synced)
	return c
}

func (c *customs) Synced() <-chan struct{} { return c.synced }

func (c *customs) GroupVersions() []schema.GroupVersion {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}

func (c *customs) OnChange(on func()) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = on
	return func() {}
}

func (c *customs) set(all ...schema.GroupVersion) {
	c.mu.Lock()
	c.all = all
	on := c.on
	c.mu.Unlock()
	on()
}

func TestAPIServicesOfCustomResourcesAreKept(t *testing.T) {
	h := newHouse(t, "")
	const name = "v1.stable.example.com"
	exists := func() bool { return h.get(apiServices+"/"+name).code == http.StatusOK }
	h.customs.set(schema.GroupVersion{Group: "stable.example.com", Version: "v1"})
	h.eventually("it to be registered", exists)

	made := h.apiService(name)
	h.delete(name)
	h.eventually("it to be back", func() bool { return exists() && h.apiService(name).UID != made.UID })

	patched := h.do(http.MethodPatch, apiServices+"/"+name, `{"spec":{"versionPriority":77}}`, "Content-Type", "application/merge-patch+json")
	if patched.code != http.StatusOK {
		t.Fatalf("got %d %s", patched.code, patched.body)
	}
	h.eventually("it to have its priority again", func() bool { return h.apiService(name).Spec.VersionPriority == made.Spec.VersionPriority })

	// Whoever takes the label off takes it over.
	mine := h.do(http.MethodPatch, apiServices+"/"+name, `{"metadata":{"labels":null},"spec":{"versionPriority":77}}`, "Content-Type", "application/merge-patch+json")
	if !strings.Contains(mine.body, `"versionPriority":77`) {
		t.Fatalf("got %d %s", mine.code, mine.body)
	}
	h.customs.set()
	h.customs.set(schema.GroupVersion{Group: "stable.example.com", Version: "v1"}, schema.GroupVersion{Group: "other.example.com", Version: "v1"})
	h.eventually("another to be registered", func() bool { return h.get(apiServices+"/v1.other.example.com").code == http.StatusOK })
	if got := h.apiService(name); got.UID == made.UID || got.Spec.VersionPriority != 77 {
		t.Errorf("what somebody has taken over is %+v", got)
	}

	h.customs.set()
	h.eventually("the other to be gone", func() bool { return h.get(apiServices+"/v1.other.example.com").code == http.StatusNotFound })
}
