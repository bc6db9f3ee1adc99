package aggregator

import "testing"

func TestWhyAnEndpointIsChosen(t *testing.T) {
	for _, c := range []struct {
		usable, all int
		want        string
	}{
		{1, 1, "it is the only ready endpoint"},
		{3, 3, "it is the less loaded of two of the 3 ready endpoints"},
		{2, 3, "it is the less loaded of two of the 2 ready endpoints that do not fail, of 3"},
		{1, 2, "it is the only one of 2 ready endpoints that does not fail"},
		{0, 2, "all 2 ready endpoints fail, and each is tried"},
	} {
		if got := whyThatEndpoint(c.usable, c.all); got != c.want {
			t.Errorf("%d of %d: %q, want %q", c.usable, c.all, got, c.want)
		}
	}
}
