package main

import "testing"

func TestMemoryIsGivenBackByAProcessThatIsQuiet(t *testing.T) {
	const mb = 1 << 20
	released := 0
	m := newMemory(func() { released++ })
	for _, step := range []struct {
		what string
		use  memoryUse
		want int
	}{
		{"busy", memoryUse{allocated: 500 * mb, held: 400 * mb, live: 100 * mb}, 0},
		{"still busy", memoryUse{allocated: 600 * mb, held: 400 * mb, live: 100 * mb}, 0},
		{"quiet", memoryUse{allocated: 601 * mb, held: 400 * mb, live: 100 * mb}, 1},
		{"no less after it", memoryUse{allocated: 602 * mb, held: 400 * mb, live: 100 * mb}, 1},
		{"little to give", memoryUse{allocated: 609 * mb, held: 120 * mb, live: 100 * mb}, 1},
		{"busy again", memoryUse{allocated: 900 * mb, held: 420 * mb, live: 100 * mb}, 1},
		{"quiet again", memoryUse{allocated: 901 * mb, held: 420 * mb, live: 100 * mb}, 2},
	} {
		if m.look(step.use); released != step.want {
			t.Errorf("%s: given back %d times, want %d", step.what, released, step.want)
		}
	}
	if use := m.use(); use.allocated == 0 || use.held == 0 {
		t.Errorf("this process uses %+v", use)
	}
}
