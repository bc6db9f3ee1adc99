package core_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/portico-api/portico/delegation/core"
)

// Columns in parentheses are those of -o wide.
var columns = map[string]string{
	"namespaces":                        "Name, Status, Age",
	"secrets":                           "Name, Type, Data, Age",
	"configmaps":                        "Name, Data, Age",
	"serviceaccounts":                   "Name, Age",
	"services":                          "Name, Type, Cluster-IP, External-IP, Port(s), Age, (Selector)",
	"endpoints":                         "Name, Endpoints, Age",
	"endpointslices":                    "Name, AddressType, Ports, Endpoints, Age",
	"leases":                            "Name, Holder, Age",
	"resourcequotas":                    "Name, Request, Limit, Age",
	"certificatesigningrequests":        "Name, Age, SignerName, Requestor, RequestedDuration, Condition",
	"events":                            "Last Seen, Type, Reason, Object, (Subobject), (Source), Message, (First Seen), (Count), (Name)",
	"mutatingwebhookconfigurations":     "Name, Webhooks, Age",
	"validatingwebhookconfigurations":   "Name, Webhooks, Age",
	"validatingadmissionpolicies":       "Name, Validations, ParamKind, Age",
	"mutatingadmissionpolicies":         "Name, Mutations, ParamKind, Age",
	"validatingadmissionpolicybindings": "Name, PolicyName, ParamRef, Age",
	"mutatingadmissionpolicybindings":   "Name, PolicyName, ParamRef, Age",
	"flowschemas":                       "Name, PriorityLevel, MatchingPrecedence, DistinguisherMethod, Age, MissingPL",
	"prioritylevelconfigurations":       "Name, Type, NominalConcurrencyShares, Queues, HandSize, QueueLengthLimit, Age",
}

func TestTablesAreThoseKubectlUsersKnow(t *testing.T) {
	for name, resource := range core.DeclaredResources() {
		t.Run(name, func(t *testing.T) {
			if resource.Table == nil {
				if want, ok := columns[name]; ok {
					t.Errorf("it has no columns of its own, want %s", want)
				}
				return // Name and Created At, as upstream has it
			}
			var got []string
			for _, c := range resource.Table.Columns {
				column := c.Name
				if c.Priority > 0 {
					column = "(" + column + ")"
				}
				got = append(got, column)
				if c.Description == "" {
					t.Errorf("column %q has no description", c.Name)
				}
				if (c.Format == "name") != (c.Name == "Name") {
					t.Errorf("column %q has format %q", c.Name, c.Format)
				}
			}
			if want := columns[name]; strings.Join(got, ", ") != want {
				t.Errorf("columns\n got %s\nwant %s", strings.Join(got, ", "), want)
			}
			if cells := resource.Table.Cells(resource.New()); len(cells) != len(got) {
				t.Errorf("%d cells of an empty object for %d columns: %v", len(cells), len(got), cells)
			}
		})
	}
}

func TestCellsShowWhatTheObjectsHold(t *testing.T) {
	resources := core.DeclaredResources()
	for _, c := range []struct{ name, resource, object, want string }{
		{"a service's ports and selector", "services", "metadata: {name: a}\nspec: {ports: [{name: x, port: 80, nodePort: 30080}, {name: y, port: 53, protocol: UDP}], type: NodePort, clusterIP: 10.0.0.1, selector: {b: c, a: b}}",
			"a NodePort 10.0.0.1 <none> 80:30080/TCP,53/UDP <unknown> a=b,b=c"},
		{"an external name", "services", "metadata: {name: a}\nspec: {type: ExternalName, externalName: example.com}", "a ExternalName <none> example.com <none> <unknown> <none>"},
		{"a load balancer that has no address yet", "services", "metadata: {name: a}\nspec: {type: LoadBalancer, ports: [{port: 1}]}", "a LoadBalancer <none> <pending> 1/TCP <unknown> <none>"},
		{"the first three endpoints", "endpoints", "metadata: {name: a}\nsubsets: [{addresses: [{ip: 10.0.0.1}, {ip: 10.0.0.2}], ports: [{name: x, port: 1}, {name: y, port: 2}]}]",
			"a 10.0.0.1:1,10.0.0.1:2,10.0.0.2:1 + 1 more... <unknown>"},
		{"open ports of a slice", "endpointslices", "metadata: {name: a}\naddressType: IPv4\nports: [{name: x}, {name: y, port: 2}]\nendpoints: [{addresses: [10.0.0.1]}]", "a IPv4 *,2 10.0.0.1 <unknown>"},
		{"an event's object and source", "events", "metadata: {name: a}\ninvolvedObject: {kind: Service, name: s}\nreason: R\ntype: Normal\nmessage: m\nreportingComponent: c\nreportingInstance: i",
			"<unknown> Normal R service/s  c, i m <unknown> 1 a"},
		{"parameters by name", "validatingadmissionpolicybindings", "metadata: {name: a}\nspec: {policyName: p, paramRef: {name: x, namespace: ns}}", "a p ns/x <unknown>"},
		{"the holder", "leases", "metadata: {name: a}\nspec: {holderIdentity: me}", "a me <unknown>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := resources[c.resource]
			var cells []string
			for _, cell := range r.Table.Cells(prepare(t, r, c.object)) {
				cells = append(cells, fmt.Sprint(cell))
			}
			if got := strings.Join(cells, " "); got != c.want {
				t.Errorf("of %s\n got %q\nwant %q", c.object, got, c.want)
			}
		})
	}
}

func TestWriteRulesAreThoseOfTheContract(t *testing.T) {
	createOnUpdate := []string{"endpoints", "events", "leases", "limitranges", "services"}
	conditionalOnly := []string{"leases", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings", "mutatingwebhookconfigurations",
		"validatingadmissionpolicies", "validatingadmissionpolicybindings", "validatingwebhookconfigurations"}
	for name, r := range core.DeclaredResources() {
		if want := slices.Contains(createOnUpdate, name); r.Strategy.AllowCreateOnUpdate != want {
			t.Errorf("%s: create on update is %v, want %v", name, r.Strategy.AllowCreateOnUpdate, want)
		}
		if want := !slices.Contains(conditionalOnly, name); r.Strategy.AllowUnconditionalUpdate != want {
			t.Errorf("%s: unconditional update is %v, want %v", name, r.Strategy.AllowUnconditionalUpdate, want)
		}
	}
}
