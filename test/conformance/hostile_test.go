package conformance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// soon is how long a client waits for the refusal of what would take minutes, or all memory, if it were taken at its word.
const soon = 10 * time.Second

// laughs is YAML of some hundred bytes whose aliases stand for a gigabyte.
func laughs() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n")
	for i := range 9 {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	return b.String()
}

// deep is JSON of a depth that no stack should be asked to hold.
func deep(depth int, open, inner, end string) string {
	return strings.Repeat(open, depth) + inner + strings.Repeat(end, depth)
}

func TestAHostileBodyIsRefusedSoon(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		s.put(t, namespace, "one", "first", "")
		one := maps + "/one"
		yaml := map[string]string{"Content-Type": "application/yaml"}
		bad, large, invalid := metav1.StatusReasonBadRequest, metav1.StatusReasonRequestEntityTooLarge, metav1.StatusReasonInvalid
		full := strings.Repeat("x", 3<<20)
		for _, c := range []struct {
			name string
			x    exchange
			want failure
		}{
			{"a YAML bomb", exchange{method: "POST", path: maps, body: laughs(), header: yaml}, failure{400, bad, ""}},
			{"an applied YAML bomb", patch(one+"?fieldManager=m", "application/apply-patch+yaml", laughs()), failure{400, bad, ""}},
			{"YAML within YAML within YAML", exchange{method: "POST", path: maps, body: "data: " + deep(100_000, "[", "", "]"), header: yaml}, failure{400, bad, ""}},
			{"deep JSON", exchange{method: "POST", path: maps, body: `{"metadata":{"name":"a"},"data":` + deep(100_000, `{"a":`, "1", "}") + "}"}, failure{400, bad, ""}},
			{"a deep list in JSON", exchange{method: "POST", path: maps, body: deep(1_000_000, "[", "", "]")}, failure{400, bad, ""}},
			{"deep JSON where nobody looks", exchange{method: "POST", path: maps, body: `{"metadata":{"name":"a"},"unknown":` + deep(100_000, "[", "", "]") + "}"}, failure{400, bad, ""}},
			{"a deep merge patch", patch(one, mergePatch, deep(100_000, `{"data":`, "1", "}")), failure{400, bad, ""}},
			{"a deep strategic patch", patch(one, strategicPatch, deep(100_000, `{"data":`, "1", "}")), failure{400, bad, ""}},
			{"a deep JSON patch", patch(one, jsonPatch, `[{"op":"add","path":"/data","value":`+deep(100_000, "[", "", "]")+`}]`), failure{400, bad, ""}},
			{"a deep configuration", patch(one+"?fieldManager=m", "application/apply-patch+yaml", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"one"},"data":`+deep(100_000, "[", "", "]")+"}"), failure{400, bad, ""}},
			{"10,001 operations", patch(one, jsonPatch, "["+strings.Repeat(`{"op":"test","path":"/data/value","value":"first"},`, 10_000)+`{"op":"test","path":"/data/value","value":"first"}]`), failure{413, large, "10000"}},
			{"a patch that doubles what is there", patch(one, jsonPatch, `[{"op":"add","path":"/x","value":["twice"]}`+strings.Repeat(`,{"op":"copy","from":"/x","path":"/x/-"}`, 100)+`]`), failure{422, invalid, "copy operations"}},
			{"a create of more than 3 MiB", exchange{method: "POST", path: maps, body: `{"metadata":{"name":"a"},"data":{"a":"` + full + `"}}`}, failure{413, large, "limit is 3145728"}},
			{"an update of more than 3 MiB", exchange{method: "PUT", path: one, body: `{"metadata":{"name":"one"},"data":{"a":"` + full + `"}}`}, failure{413, large, "limit is 3145728"}},
			{"a patch of more than 3 MiB", patch(one, mergePatch, `{"data":{"a":"`+full+`"}}`), failure{413, large, "limit is 3145728"}},
			{"delete options of more than 3 MiB", exchange{method: "DELETE", path: one, body: `{"kind":"DeleteOptions","apiVersion":"v1","x":"` + full + `"}`}, failure{413, large, "limit is 3145728"}},
			{"3 MiB of one value", exchange{method: "POST", path: maps, body: `{"metadata":{"name":"a"},"data":{"a":"` + full[:len(full)-100] + `"}}`}, failure{422, invalid, "data: Too long"}},
			{"3 MiB of unknown fields", exchange{method: "POST", path: maps + "?fieldValidation=Strict", body: `{"metadata":{"name":"a"}` + unknownFields(100_000) + "}"}, failure{400, bad, "unknown field"}},
			{"protobuf that is none", exchange{method: "POST", path: maps, body: "k8s\x00" + strings.Repeat("\x0a\xff\xff\xff\x7f", 1000), header: map[string]string{"Content-Type": mediaProtobuf}}, failure{400, bad, ""}},
			{"a selector without an end", exchange{path: maps + "?labelSelector=" + strings.Repeat("a+in+(b,", 50_000)}, failure{400, bad, ""}},
		} {
			t.Run(c.name, func(t *testing.T) {
				begin := time.Now()
				s.expectFailure(t, c.x, c.want)
				if took := time.Since(begin); took > soon {
					t.Errorf("it took %v", took)
				}
			})
		}
		if got := s.must(t, 200, exchange{path: one}).object(t); got.GetName() != "one" {
			t.Errorf("afterwards the object is %v", got)
		}
	})
}

// unknownFields are n fields that no kind has.
func unknownFields(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"unknown%d":1`, i)
	}
	return b.String()
}

// Warnings tell of unknown fields, but a client that sends many is not sent as many headers.
func TestManyWarningsAreFewHeaders(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		r := s.must(t, 201, exchange{method: "POST", path: collection(namespace, "configmaps"), body: `{"metadata":{"name":"a"}` + unknownFields(100_000) + "}"})
		size := 0
		for _, warning := range r.header["Warning"] {
			size += len(warning)
		}
		if size == 0 || size > 16<<10 {
			t.Errorf("got %d bytes of warnings", size)
		}
	})
}
