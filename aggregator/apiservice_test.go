package aggregator_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

func TestAPIServiceRules(t *testing.T) {
	tests := map[string]struct {
		change func(s *apiregistrationv1.APIService)
		field  string // of the only error; empty when valid
	}{
		"a complete one is valid":                      {func(*apiregistrationv1.APIService) {}, ""},
		"a local one is valid":                         {func(s *apiregistrationv1.APIService) { s.Spec.Service, s.Spec.InsecureSkipTLSVerify = nil, false }, ""},
		"the name is version.group":                    {func(s *apiregistrationv1.APIService) { s.Name = "v1.other.com" }, "metadata.name"},
		"an empty group needs version v1":              {func(s *apiregistrationv1.APIService) { s.Spec.Group, s.Spec.Version, s.Name = "", "v2", "v2." }, "spec.group"},
		"the group is a DNS name":                      {func(s *apiregistrationv1.APIService) { s.Spec.Group, s.Name = "A", "v1.A" }, "spec.group"},
		"the version is a DNS label":                   {func(s *apiregistrationv1.APIService) { s.Spec.Version, s.Name = "1", "1.example.com" }, "spec.version"},
		"groupPriorityMinimum is at least 1":           {func(s *apiregistrationv1.APIService) { s.Spec.GroupPriorityMinimum = 0 }, "spec.groupPriorityMinimum"},
		"groupPriorityMinimum is at most 20000":        {func(s *apiregistrationv1.APIService) { s.Spec.GroupPriorityMinimum = 20001 }, "spec.groupPriorityMinimum"},
		"versionPriority is at most 1000":              {func(s *apiregistrationv1.APIService) { s.Spec.VersionPriority = 1001 }, "spec.versionPriority"},
		"a service needs a namespace":                  {func(s *apiregistrationv1.APIService) { s.Spec.Service.Namespace = "" }, "spec.service.namespace"},
		"a service needs a name":                       {func(s *apiregistrationv1.APIService) { s.Spec.Service.Name = "" }, "spec.service.name"},
		"a port is at most 65535":                      {func(s *apiregistrationv1.APIService) { p := int32(65536); s.Spec.Service.Port = &p }, "spec.service.port"},
		"caBundle and insecureSkipTLSVerify exclusive": {func(s *apiregistrationv1.APIService) { s.Spec.CABundle = []byte("x") }, "spec.insecureSkipTLSVerify"},
		"a local one has no insecureSkipTLSVerify":     {func(s *apiregistrationv1.APIService) { s.Spec.Service = nil }, "spec.insecureSkipTLSVerify"},
	}
	h := newHouse(t, "")
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := remoteAPIService("example.com", "v1", "api")
			test.change(s)
			got := h.do(http.MethodPost, apiServices+"?dryRun=All", encode(t, s))
			if test.field == "" {
				if got.code != http.StatusCreated {
					t.Errorf("creating %+v = %d %s, want 201", s.Spec, got.code, got.body)
				}
				return
			}
			status := &metav1.Status{}
			if err := json.Unmarshal([]byte(got.body), status); err != nil {
				t.Fatal(err)
			}
			if got.code != http.StatusUnprocessableEntity || status.Details == nil || len(status.Details.Causes) != 1 || status.Details.Causes[0].Field != test.field {
				t.Errorf("creating %+v = %d %s, want 422 about %s only", s.Spec, got.code, got.body, test.field)
			}
		})
	}
}

func TestAPIServiceIsDefaultedAndItsStatusIsOurs(t *testing.T) {
	h := newHouse(t, "")
	s := remoteAPIService("example.com", "v1", "nowhere")
	s.Status.Conditions = []apiregistrationv1.APIServiceCondition{{Type: "Available", Status: "True", Reason: "IfOnly"}}
	got := h.do(http.MethodPost, apiServices, encode(t, s))
	created := &apiregistrationv1.APIService{}
	if err := json.Unmarshal([]byte(got.body), created); err != nil || got.code != http.StatusCreated {
		t.Fatalf("creating = %d %s", got.code, got.body)
	}
	if created.Spec.Service.Port == nil || *created.Spec.Service.Port != 443 {
		t.Errorf("port = %v, want 443", created.Spec.Service.Port)
	}
	if len(created.Status.Conditions) != 0 {
		t.Errorf("conditions after create = %v, want none", created.Status.Conditions)
	}

	local := remoteAPIService("local.example.com", "v1", "")
	local.Spec.Service, local.Spec.InsecureSkipTLSVerify = nil, false
	h.create(local)
	c := h.condition(local.Name)
	if c.Status != "True" || c.Reason != "Local" || c.Message != "Local APIServices are always available" {
		t.Errorf("condition of a local one = %+v, want True, Local", c)
	}

	created.ResourceVersion = ""
	if got := h.do(http.MethodPut, apiServices+"/"+s.Name, encode(t, created)); got.code != http.StatusUnprocessableEntity || !strings.Contains(got.body, "must be specified for an update") {
		t.Errorf("unconditional update = %d %s, want 422", got.code, got.body)
	}
	other := remoteAPIService("new.example.com", "v1", "api")
	other.ResourceVersion = "1"
	if got := h.do(http.MethodPut, apiServices+"/"+other.Name, encode(t, other)); got.code != http.StatusNotFound {
		t.Errorf("update of a missing one = %d %s, want 404", got.code, got.body)
	}
}

func TestWrongStatusIsPutRight(t *testing.T) {
	h := newHouse(t, "")
	h.create(remoteAPIService("example.com", "v1", "nowhere"))
	local := remoteAPIService("local.example.com", "v1", "")
	local.Spec.Service, local.Spec.InsecureSkipTLSVerify = nil, false
	h.create(local)
	h.eventually("False", func() bool { return h.condition("v1.example.com").Status == "False" })
	const wrong = `{"status":{"conditions":[{"type":"Available","status":"Unknown","reason":"Wrong","lastTransitionTime":"2026-11-23T00:00:00Z"}]}}`
	for name, want := range map[string]string{"v1.example.com": "ServiceNotFound", "v1.local.example.com": "Local"} {
		got := h.do(http.MethodPatch, apiServices+"/"+name+"/status", wrong, "Content-Type", "application/merge-patch+json")
		if got.code != http.StatusOK && got.code != http.StatusUnsupportedMediaType {
			t.Fatalf("patching the status of %s = %d %s", name, got.code, got.body)
		}
		h.eventually(want, func() bool { return h.condition(name).Reason == want })
	}
}

func TestTableOfAPIServices(t *testing.T) {
	h := newHouse(t, "")
	h.create(remoteAPIService("example.com", "v1", "nowhere"))
	h.eventually("False", func() bool { return h.condition("v1.example.com").Status == "False" })
	got := h.get(apiServices, "Accept", "application/json;as=Table;g=meta.k8s.io;v=v1")
	table := &metav1.Table{}
	if err := json.Unmarshal([]byte(got.body), table); err != nil {
		t.Fatal(err)
	}
	var columns []string
	for _, c := range table.ColumnDefinitions {
		columns = append(columns, c.Name)
	}
	if !slices.Equal(columns, []string{"Name", "Service", "Available", "Age"}) {
		t.Errorf("columns = %q", columns)
	}
	rows := map[any][]any{}
	for _, r := range table.Rows {
		rows[r.Cells[0]] = r.Cells
	}
	if r := rows["v1.example.com"]; len(r) != 4 || r[1] != "demo/nowhere" || r[2] != "False (ServiceNotFound)" {
		t.Errorf("row of the remote one = %v", r)
	}
	if r := rows["v1.rbac.authorization.k8s.io"]; len(r) != 4 || r[1] != "Local" || r[2] != "True" {
		t.Errorf("row of the local one = %v", r)
	}
}
