package aggregator_test

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

const wardle = "v1alpha1.wardle.example.com"

func TestAvailableCondition(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := gone.Addr().String()
	gone.Close()

	tests := map[string]struct {
		service func(t *testing.T, h *house)
		status  apiregistrationv1.ConditionStatus
		reason  string
		message string
	}{
		"a service that is missing": {
			service: func(*testing.T, *house) {},
			status:  "False", reason: "ServiceNotFound", message: `service/api in "demo" is not present`,
		},
		"a service without the port": {
			service: func(_ *testing.T, h *house) {
				h.services.set("api", &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}})
			},
			status: "False", reason: "ServicePortError", message: `service/api in "demo" is not listening on port 443`,
		},
		"a service without endpoint slices": {
			service: func(_ *testing.T, h *house) {
				h.services.set("api", &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 443}}}})
			},
			status: "False", reason: "EndpointsNotFound", message: `cannot find endpointslices for service/api in "demo"`,
		},
		"a service without a ready endpoint": {
			service: func(t *testing.T, h *house) { h.services.serve(t, "api") },
			status:  "False", reason: "MissingEndpoints", message: `endpointslices for service/api in "demo" have no addresses with port name "https"`,
		},
		"a server that refuses": {
			service: func(t *testing.T, h *house) { h.services.serve(t, "api", refused) },
			status:  "False", reason: "FailedDiscoveryCheck", message: "failing or missing response from https://" + refused + "/apis/wardle.example.com/v1alpha1: ",
		},
		"a server that answers 404": {
			service: func(t *testing.T, h *house) { h.services.serve(t, "api", newExtension(t, true).address) },
			status:  "False", reason: "FailedDiscoveryCheck", message: ": 404",
		},
		"a server that redirects": {
			service: func(t *testing.T, h *house) {
				e := newExtension(t, false)
				e.answer("/apis/wardle.example.com/v1alpha1", func(w http.ResponseWriter, r *http.Request) {
					http.Redirect(w, r, "https://elsewhere.example.com", http.StatusFound)
				})
				h.services.serve(t, "api", e.address)
			},
			status: "False", reason: "FailedDiscoveryCheck", message: ": 302",
		},
		"a good server over HTTP/1.1": {
			service: func(t *testing.T, h *house) { h.services.serve(t, "api", newWardle(t, false).address) },
			status:  "True", reason: "Passed", message: "all checks passed",
		},
		"a good server that knows HTTP/2": {
			service: func(t *testing.T, h *house) { h.services.serve(t, "api", newWardle(t, true).address) },
			status:  "True", reason: "Passed", message: "all checks passed",
		},
		"a good server beside one that refuses": {
			service: func(t *testing.T, h *house) { h.services.serve(t, "api", newWardle(t, true).address, refused) },
			status:  "True", reason: "Passed", message: "all checks passed",
		},
	}
	h := newHouse(t, "")
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h.services.forget("api")
			test.service(t, h)
			h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
			defer h.delete(wardle)
			h.eventually("a condition", func() bool { return h.condition(wardle).Status != "" })
			c := h.condition(wardle)
			if c.Status != test.status || c.Reason != test.reason || !strings.Contains(c.Message, test.message) || c.LastTransitionTime.IsZero() {
				t.Errorf("condition = %+v, want %s, %s, message with %q", c, test.status, test.reason, test.message)
			}
		})
	}
}

func TestConditionFollowsTheService(t *testing.T) {
	h := newHouse(t, "")
	h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
	h.eventually("ServiceNotFound", func() bool { return h.condition(wardle).Reason == "ServiceNotFound" })
	if got := h.get("/apis/wardle.example.com/v1alpha1/flunders"); got.code != http.StatusServiceUnavailable || !strings.Contains(got.body, `"message":"service unavailable"`) {
		t.Errorf("request to an unavailable APIService = %d %s, want 503 with a Status", got.code, got.body)
	}

	h.services.serve(t, "api", newDocumentedWardle(t).address)
	h.eventually("Passed", func() bool { return h.condition(wardle).Reason == "Passed" })
	if got := h.get("/apis/wardle.example.com/v1alpha1"); got.code != http.StatusOK {
		t.Errorf("request to an APIService that is told to be available = %d %s, want 200", got.code, got.body)
	}
	if v, ok := h.version("wardle.example.com", "v1alpha1"); !ok || len(v.Resources) != 1 {
		t.Errorf("discovery of an APIService that is told to be available = %+v, want its resource", v)
	}
	if got := h.get("/openapi/v3"); !strings.Contains(got.body, "v1alpha1?hash=ABC") {
		t.Errorf("OpenAPI of an APIService that is told to be available = %s, want its document", got.body)
	}
}

func TestUnchangedConditionIsNotWritten(t *testing.T) {
	h := newHouse(t, "")
	h.services.serve(t, "api", newWardle(t, false).address)
	h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
	h.eventually("Passed", func() bool { return h.condition(wardle).Reason == "Passed" })
	before := h.apiService(wardle).ResourceVersion

	e := newWardle(t, true)
	h.services.serve(t, "api", e.address)
	h.eventually("a check of the new endpoint", func() bool { return len(e.requests("/apis/wardle.example.com/v1alpha1")) > 1 })
	if after := h.apiService(wardle).ResourceVersion; after != before {
		t.Errorf("resourceVersion after another good check = %s, want %s", after, before)
	}
}

func TestNewProxyCertificateIsTriedAtOnce(t *testing.T) {
	h := newHouse(t, "")
	e := newWardle(t, false)
	h.services.serve(t, "api", e.address)
	h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
	h.eventually("Passed", func() bool { return h.condition(wardle).Reason == "Passed" })

	e.answer("/apis/wardle.example.com/v1alpha1", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	h.certificateChanged()
	h.eventually("the server's no to the new certificate", func() bool { return h.condition(wardle).Reason == "FailedDiscoveryCheck" })
}

func TestHangingServerHurtsNobodyElse(t *testing.T) {
	h := newHouse(t, "")
	release := make(chan struct{})
	hanging := newExtension(t, false)
	hang := func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	defer close(release)
	for _, path := range []string{"/apis", "/openapi/v3", "/apis/hanging.example.com/v1"} {
		hanging.answer(path, hang)
	}
	h.services.serve(t, "hanging", hanging.address)
	for _, version := range []string{"v1", "v2", "v3", "v4", "v5", "v6", "v7"} {
		hanging.answer("/apis/hanging.example.com/"+version, hang)
		h.create(remoteAPIService("hanging.example.com", version, "hanging"))
	}
	h.eventually("all hanging checks to hang", func() bool {
		return len(hanging.requests("/apis/hanging.example.com/v7")) > 0
	})

	h.services.serve(t, "api", newWardle(t, true).address)
	begin := time.Now()
	h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
	h.eventually("the good server to be available", func() bool { return h.condition(wardle).Status == "True" })
	if got := h.get("/apis/wardle.example.com/v1alpha1"); got.code != http.StatusOK {
		t.Errorf("GET of the good group = %d %s, want 200", got.code, got.body)
	}
	for _, path := range []string{"/apis", "/apis/hanging.example.com", "/openapi/v3"} {
		if got := h.get(path); got.code != http.StatusOK {
			t.Errorf("GET %s = %d %s, want 200", path, got.code, got.body)
		}
	}
	t.Logf("available beside seven that hang after %v", time.Since(begin))
	if c := h.condition("v7.hanging.example.com"); c.Status != "" {
		t.Errorf("a check that still hangs says %+v", c)
	}
}

func TestUnavailableMetricComesAndGoes(t *testing.T) {
	h := newHouse(t, "")
	h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
	series := `aggregator_unavailable_apiservice{name="` + wardle + `"} 1`
	h.eventually("the gauge", func() bool { return strings.Contains(h.get("/metrics").body, series) })
	if got := h.get("/metrics").body; !strings.Contains(got, `aggregator_unavailable_apiservice_total{name="`+wardle+`",reason="ServiceNotFound"} 1`) {
		t.Error("the counter of unavailable APIServices is missing or not 1")
	}
	h.delete(wardle)
	h.eventually("the gauge to go", func() bool { return !strings.Contains(h.get("/metrics").body, wardle) })
}

// Thousands of servers are looked at all the time: one that is well costs a connection for that, however many endpoints it has.
func TestAServerAtRestHasFewConnections(t *testing.T) {
	h := newHouse(t, "")
	var servers []*extension
	var addresses []string
	for range 9 {
		e := newWardle(t, true)
		servers, addresses = append(servers, e), append(addresses, e.address)
	}
	connections := func() int {
		all := map[string]bool{}
		for _, e := range servers {
			for _, path := range []string{"/apis", "/openapi/v3", "/apis/wardle.example.com/v1alpha1"} {
				for _, r := range e.requests(path) {
					all[r.RemoteAddr] = true
				}
			}
		}
		return len(all)
	}
	h.services.serve(t, "api", addresses...)
	h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
	h.eventually("Passed", func() bool { return h.condition(wardle).Reason == "Passed" })
	for range 20 {
		h.certificateChanged() // looks again
		time.Sleep(10 * time.Millisecond)
	}
	// Some, because it is looked at and asked what it serves at the same time, here as often as never else.
	if n := connections(); n > 4 {
		t.Errorf("%d connections to %d endpoints for 20 looks, want a few", n, len(servers))
	}
}

// One that is well is looked at twice a minute. Requests that it breaks off are a reason to look before that.
func TestAServerThatDiesIsMissedByItsClients(t *testing.T) {
	h := newHouse(t, "")
	e := newWardle(t, true)
	h.services.serve(t, "api", e.address)
	h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
	h.eventually("Passed", func() bool { return h.condition(wardle).Reason == "Passed" })
	e.Close()
	h.eventually("its failures to be noticed", func() bool {
		h.get("/apis/wardle.example.com/v1alpha1/namespaces/ns/flunders")
		return h.condition(wardle).Reason == "FailedDiscoveryCheck"
	})
}
