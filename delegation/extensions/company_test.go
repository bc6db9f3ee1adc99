package extensions

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portico-api/portico/handler/rest"
)

func TestWhoAsksBesidesThoseWhoWriteDefinitionsIsCompany(t *testing.T) {
	const windows = 8
	for name, c := range map[string]struct {
		each, writes int // requests in each window, and writes of definitions among them
		want         bool
	}{
		"nobody":                               {0, 0, false},
		"a controller of ours that writes":     {0, 0, false},
		"one client that defines":              {40, 20, false},
		"many clients that define, and nobody": {100, 100, false},
		"a few others":                         {3, 0, false},
		"others":                               {30, 0, true},
		"others beside one that defines":       {60, 20, true},
	} {
		now, asked := time.Unix(1e9, 0), uint64(1000)
		all := company{asked: func() uint64 { return asked }}
		all.present(now)
		for range windows {
			asked += uint64(c.each)
			for range c.writes {
				all.writes()
			}
			now = now.Add(lookAround)
			all.present(now)
		}
		if got := all.present(now); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
	if (&company{}).present(time.Now()) {
		t.Error("there is company where nobody knows")
	}
}

// In company, definitions are worked on for a seventh of the time.
func TestInCompanyThereIsMoreRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked uint64
		all := turns{company: company{asked: func() uint64 { asked += 100; return asked }}}
		begin := time.Now()
		for range 100 {
			_ = all.do(t.Context(), 0, func(context.Context) error {
				time.Sleep(50 * time.Millisecond)
				return nil
			})
		}
		_ = all.do(t.Context(), 0, works(0))
		worked := 100 * 50 * time.Millisecond
		// The first quarter of a second needs no rest, and until somebody has looked around there is less of it.
		most := time.Duration(float64(worked) * (1 + politeShare))
		if took := time.Since(begin); took > most || took < most-3*time.Duration(politeShare*float64(untiring)) {
			t.Errorf("%v of work took %v, want about %v", worked, took, most)
		}
	})
}

// A collection is deleted by one request, however many turns that takes: it does not hide who asks besides.
func TestTurnsOfOneRequestDoNotHideCompany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		all := turns{company: company{asked: func() uint64 { return uint64(time.Since(begin) / (20 * time.Millisecond)) }}}
		for range 100 {
			_ = all.do(t.Context(), 0, func(context.Context) error {
				time.Sleep(10 * time.Millisecond)
				return nil
			})
		}
		if !all.company.there {
			t.Error("there is no company")
		}
	})
}

func TestWhoWritesDefinitionsIsNoCompany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked uint64
		all := turns{weigh: func(_ context.Context, size int) int { return size }, company: company{asked: func() uint64 { return asked }}}
		write := all.givenTo(&rest.Resource{}).Turn
		for range 100 {
			asked += perWrite
			_ = write(t.Context(), 1, works(10*time.Millisecond))
			if all.company.there {
				t.Fatalf("there is company after %d requests", asked)
			}
		}
	})
}
