package delegation_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/portico-api/portico/delegation"
)

func TestTheChainTellsWhatItIsMadeOf(t *testing.T) {
	config := openConfig()
	back := newUnit(t, config, "back", delegation.NewEmptyDelegate())
	hook := func(context.Context) error { return nil }
	if err := back.AddPostStartHook("start-back", hook); err != nil {
		t.Fatal(err)
	}
	front := newUnit(t, config, "front", back)
	if err := front.AddPostStartHook("start-front", hook); err != nil {
		t.Fatal(err)
	}
	if err := front.AddReadyzChecks(check("shelf", "", nil)); err != nil {
		t.Fatal(err)
	}
	front.PrepareRun()

	w := request(front.Handler, http.MethodGet, delegation.ChainPath)
	var chain struct{ Units []delegation.UnitStatus }
	if err := json.Unmarshal(w.Body.Bytes(), &chain); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	if len(chain.Units) != 2 || chain.Units[0].Name != "front" || chain.Units[1].Name != "back" {
		t.Fatalf("units: got %s, want front and back", w.Body)
	}
	for i, want := range []delegation.HookStatus{{Name: "start-front"}, {Name: "start-back"}} {
		if got := chain.Units[i].Hooks; !slices.Equal(got, []delegation.HookStatus{want}) {
			t.Errorf("hooks of %s: got %v, want %v", chain.Units[i].Name, got, want)
		}
	}
	if got := chain.Units[0].Checks; !slices.Contains(got, "shelf") {
		t.Errorf("checks of the front: got %v, want shelf among them", got)
	}
	if got := chain.Units[1].Checks; slices.Contains(got, "shelf") || slices.Contains(got, "poststarthook/start-back") {
		t.Errorf("checks of the back: got %v", got)
	}
}
