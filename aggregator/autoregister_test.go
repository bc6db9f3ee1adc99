package aggregator

import (
	"slices"
	"testing"
)

func TestBuiltInAPIServices(t *testing.T) {
	tests := map[string]struct {
		paths []string
		want  []string
	}{
		"each group version with a priority":       {[]string{"/api/v1", "/apis/rbac.authorization.k8s.io/v1"}, []string{"v1.", "v1.rbac.authorization.k8s.io"}},
		"none for a group version without one":     {[]string{"/apis/example.com/v1", "/apis/apps/v9"}, nil},
		"none for a path that is no group version": {[]string{"/", "/api", "/apis", "/apis/apps", "/apis/apps/v1/deployments", "/apis/apps/v1/", "/api/v1/pods", "/healthz", "//api/v1", "api/v1"}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, s := range builtInAPIServices(test.paths) {
				got = append(got, s.Name)
				if errs := validateAPIService(s); len(errs) > 0 {
					t.Errorf("APIService %s is invalid: %v", s.Name, errs)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("APIServices of %q = %q, want %q", test.paths, got, test.want)
			}
		})
	}
}
