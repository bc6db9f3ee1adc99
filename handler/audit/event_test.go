package audit_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditapi "k8s.io/apiserver/pkg/apis/audit"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/handler/audit"
)

// trail is an auditor that writes down all that its policy wants, and what it has written.
type trail struct {
	*audit.Auditor
	out bytes.Buffer
}

func newTrail(t testing.TB, policy string, format audit.Format, cfg audit.Config) *trail {
	t.Helper()
	parsed, err := audit.ParsePolicy([]byte(head + policy))
	if err != nil {
		t.Fatal(err)
	}
	tr := &trail{}
	tr.Auditor = audit.New(parsed, nil, audit.NewStream(&tr.out, format, cfg))
	return tr
}

// events are what was written, each as strict as its type.
func (tr *trail) events(t testing.TB) []auditv1.Event { return decodeEvents(t, tr.out.String()) }

func decodeEvents(t testing.TB, lines string) (events []auditv1.Event) {
	t.Helper()
	for line := range strings.Lines(lines) {
		var e auditv1.Event
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		events = append(events, e)
	}
	return events
}

const everything = "rules: [{level: RequestResponse}]"

func TestAnEventTellsAllThatIsKnown(t *testing.T) {
	tr := newTrail(t, everything, audit.JSON, audit.Config{})
	r, rq := asked(t, nil, "PUT", `/apis/apps/v1/namespaces/ns/deployments/d/status?dryRun=All&x="`)
	r.RemoteAddr = "192.0.2.9:1234"
	r.Header.Set("X-Forwarded-For", "192.0.2.1, 192.0.2.2")
	r.Header.Set("User-Agent", "kubectl/v1")
	r.TLS = &tls.ConnectionState{}
	rq.ReceivedAt = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	rq.Impersonator = &user.DefaultInfo{Name: "admin", Groups: []string{"system:masters"}}
	rq.User = &user.DefaultInfo{Name: "ann \"a\" \n\u2028", UID: "7", Groups: []string{"a", "b"}, Extra: map[string][]string{"k": {"v", "w"}}}
	rq.Record = tr.Begin(r, rq)
	rq.Record.About(&metav1.ObjectMeta{Name: "other", UID: "the-uid"})
	rq.Record.Expects("41")
	rq.Record.AddRequest([]byte("{\n  \"a\": 1\n}"))
	rq.Record.AddAnswer([]byte(`{"b":[ ]}`))
	rq.Record.AddStatus(&metav1.Status{Status: metav1.StatusFailure, Message: "no\tway", Reason: metav1.StatusReasonInvalid, Code: 422, Details: &metav1.StatusDetails{Name: "d"}})
	rq.Record.Annotate("k", "first")
	rq.Record.Annotate("k", "second")
	rq.Record.Annotate("l", "<&>")
	rq.Record.Annotate("m", "x")
	if !tr.Write(rq, auditapi.StageResponseComplete) {
		t.Error("the request may not go on")
	}
	got := tr.events(t)[0]
	if got.RequestObject == nil || string(got.RequestObject.Raw) != `{"a":1}` || got.ResponseObject == nil || string(got.ResponseObject.Raw) != `{"b":[]}` {
		t.Errorf("bodies %s and %s", got.RequestObject, got.ResponseObject)
	}
	if got.StageTimestamp.Time.Before(got.RequestReceivedTimestamp.Time) {
		t.Errorf("the stage was reached at %v", got.StageTimestamp)
	}
	got.RequestObject, got.ResponseObject, got.StageTimestamp = nil, nil, metav1.MicroTime{}
	got.RequestReceivedTimestamp.Time = got.RequestReceivedTimestamp.UTC()
	want := auditv1.Event{
		TypeMeta: metav1.TypeMeta{Kind: "Event", APIVersion: "audit.k8s.io/v1"},
		Level:    auditv1.LevelRequestResponse, AuditID: "the-id", Stage: auditv1.StageResponseComplete, RequestURI: r.RequestURI, Verb: "update",
		User: authenticationv1.UserInfo{Username: "admin", Groups: []string{"system:masters"}},
		ImpersonatedUser: &authenticationv1.UserInfo{Username: "ann \"a\" \n\u2028", UID: "7", Groups: []string{"a", "b"},
			Extra: map[string]authenticationv1.ExtraValue{"k": {"v", "w"}}},
		SourceIPs: []string{"192.0.2.1", "192.0.2.2", "192.0.2.9"}, UserAgent: "kubectl/v1",
		ObjectRef: &auditv1.ObjectReference{Resource: "deployments", Namespace: "ns", Name: "d", UID: "the-uid", APIGroup: "apps", APIVersion: "v1",
			ResourceVersion: "41", Subresource: "status"},
		ResponseStatus: &metav1.Status{Status: metav1.StatusFailure, Message: "no\tway", Reason: metav1.StatusReasonInvalid, Code: 422,
			Details: &metav1.StatusDetails{Name: "d"}},
		RequestReceivedTimestamp: metav1.NewMicroTime(rq.ReceivedAt),
		Annotations:              map[string]string{"k": "first", "l": "<&>", "m": "x"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestTheArrivalTellsOfTheRequestOnly(t *testing.T) {
	tr := newTrail(t, everything, audit.JSON, audit.Config{})
	r, rq := asked(t, nil, "GET", "/version")
	r.RemoteAddr = "[2001:db8::1]:99"
	rq.ReceivedAt = time.Now().Add(-time.Hour)
	rq.Record = tr.Begin(r, rq)
	tr.Write(rq, auditapi.StageRequestReceived)
	e := tr.events(t)[0]
	if e.ResponseStatus != nil || e.ObjectRef != nil || e.Annotations != nil || e.ImpersonatedUser != nil || e.User.Username != "" || e.Verb != "get" {
		t.Errorf("got %+v", e)
	}
	if !e.StageTimestamp.Equal(&e.RequestReceivedTimestamp) || len(e.SourceIPs) != 1 || e.SourceIPs[0] != "2001:db8::1" {
		t.Errorf("at %v, received at %v, from %v", e.StageTimestamp, e.RequestReceivedTimestamp, e.SourceIPs)
	}
}

func TestALongUserAgentIsCut(t *testing.T) {
	for n, want := range map[int]int{1024: 1024, 1025: 1024 + len("...TRUNCATED")} {
		r, rq := asked(t, nil, "GET", "/version")
		r.Header.Set("User-Agent", strings.Repeat("x", n))
		if got := newTrail(t, everything, audit.JSON, audit.Config{}).Begin(r, rq).UserAgent; len(got) != want {
			t.Errorf("of %d bytes %d are kept, want %d", n, len(got), want)
		}
	}
}

// written is the event of a request with bodies.
func written(t testing.TB, tr *trail, sent, answer string) auditv1.Event {
	t.Helper()
	r, rq := asked(t, nil, "POST", "/api/v1/namespaces/ns/secrets")
	rq.Record = tr.Begin(r, rq)
	rq.Record.AddRequest([]byte(sent))
	rq.Record.AddAnswer([]byte(answer))
	tr.Write(rq, auditapi.StageResponseComplete)
	events := tr.events(t)
	return events[len(events)-1]
}

func TestTheLevelSaysWhichBodiesAreWrittenDown(t *testing.T) {
	for level, want := range map[string][2]bool{"Metadata": {}, "Request": {true, false}, "RequestResponse": {true, true}} {
		e := written(t, newTrail(t, "rules: [{level: "+level+"}]", audit.JSON, audit.Config{}), `{"a":"secret"}`, `{"b":"secret"}`)
		if got := [2]bool{e.RequestObject != nil, e.ResponseObject != nil}; got != want {
			t.Errorf("at level %s: request and answer %v, want %v", level, got, want)
		}
	}
}

func TestABodyThatIsNoJSONDoesNotSpoilTheEvent(t *testing.T) {
	for _, sent := range []string{"", "{", "a: b", "{}\n{}", "\x00", `{"a":1}x`} {
		if e := written(t, newTrail(t, everything, audit.JSON, audit.Config{}), sent, "{}"); e.RequestObject != nil || e.ResponseObject == nil {
			t.Errorf("of %q: %s and %s", sent, e.RequestObject, e.ResponseObject)
		}
	}
}

func TestManagedFieldsAreLeftOutOfWhateverHasThem(t *testing.T) {
	const fields = `"managedFields":[{"manager":"m"}]`
	for name, c := range map[string]struct{ body, want string }{
		"an object":       {`{"metadata":{"name":"n",` + fields + `},"n":12345678901234567}`, `{"metadata":{"name":"n"},"n":12345678901234567}`},
		"a list":          {`{"items":[{"metadata":{` + fields + `}},{"metadata":{` + fields + `}}]}`, `{"items":[{"metadata":{}},{"metadata":{}}]}`},
		"a table":         {`{"rows":[{"object":{"metadata":{` + fields + `}}}]}`, `{"rows":[{"object":{"metadata":{}}}]}`},
		"nothing of it":   {`{"b":1,"a":2}`, `{"b":1,"a":2}`},
		"data like it":    {`{"data":{"managedFields":"x"}}`, `{"data":{"managedFields":"x"}}`},
		"a patch in JSON": {`[{"op":"add","path":"/x","value":"managedFields"}]`, `[{"op":"add","path":"/x","value":"managedFields"}]`},
	} {
		e := written(t, newTrail(t, "omitManagedFields: true\n"+everything, audit.JSON, audit.Config{}), c.body, c.body)
		if got := string(e.ResponseObject.Raw); got != c.want || string(e.RequestObject.Raw) != c.want {
			t.Errorf("%s: %s and %s, want %s", name, e.RequestObject.Raw, got, c.want)
		}
		if e := written(t, newTrail(t, everything, audit.JSON, audit.Config{}), c.body, c.body); string(e.ResponseObject.Raw) != c.body {
			t.Errorf("%s, when they are wanted: %s", name, e.ResponseObject.Raw)
		}
	}
}

func TestTheLegacyFormIsALineOfText(t *testing.T) {
	tr := newTrail(t, everything, audit.Legacy, audit.Config{})
	r, rq := asked(t, &user.DefaultInfo{Name: "ann", Groups: []string{"a", "b"}}, "GET", "/api/v1/namespaces/ns/pods")
	r.Header.Set("User-Agent", "k\n")
	rq.ReceivedAt = time.Date(2026, 1, 2, 3, 4, 5, 600000000, time.UTC)
	rq.Record = tr.Begin(r, rq)
	tr.Write(rq, auditapi.StageRequestReceived)
	rq.Impersonator = &user.DefaultInfo{Name: "admin"}
	rq.Record.AddStatus(&metav1.Status{Code: 200})
	tr.Write(rq, auditapi.StageResponseComplete)
	const begin = `2026-01-02T03:04:05.6Z AUDIT: id="the-id" stage=`
	const end = ` user-agent="k\n" namespace="ns" uri="/api/v1/namespaces/ns/pods" response=`
	want := begin + `"RequestReceived" ip="192.0.2.1" method="list" user="ann" groups="\"a\",\"b\"" as="<self>" asgroups="<lookup>"` + end + "\"<deferred>\"\n" +
		begin + `"ResponseComplete" ip="192.0.2.1" method="list" user="admin" groups="<none>" as="ann" asgroups="\"a\",\"b\""` + end + "\"200\"\n"
	if got := tr.out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func FuzzStrings(f *testing.F) {
	for _, seed := range []string{"", "plain", "\"\\\n\r\t\x00\x1f\x7f", "äöü 漢字 😀", "\xff\xc3", "\u2028\u2029", "\ufffd", "</script>", "\xe2\x80"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tr := newTrail(t, everything, audit.JSON, audit.Config{})
		r, rq := asked(t, &user.DefaultInfo{Name: s, UID: s, Groups: []string{s, s}, Extra: map[string][]string{s: {s}}}, "GET", "/version")
		r.RequestURI = s
		rq.Record = tr.Begin(r, rq)
		rq.Record.AddStatus(&metav1.Status{Message: s, Code: 1})
		rq.Record.Annotate("k", s)
		tr.Write(rq, auditapi.StageResponseComplete)
		if strings.Count(tr.out.String(), "\n") != 1 {
			t.Fatalf("an event is %q", tr.out.String())
		}
		encoded, _ := json.Marshal(s)
		var want string
		if err := json.Unmarshal(encoded, &want); err != nil {
			t.Fatal(err)
		}
		e := tr.events(t)[0]
		for _, got := range []string{e.User.Username, e.User.UID, e.User.Groups[1], e.User.Extra[want][0], e.ResponseStatus.Message, e.Annotations["k"]} {
			if got != want {
				t.Errorf("%q is read as %q, want %q", s, got, want)
			}
		}
	})
}

func TestAClientMayClaimSomeAddressesOnly(t *testing.T) {
	tr := newTrail(t, everything, audit.JSON, audit.Config{})
	r, rq := asked(t, nil, "GET", "/version")
	r.RemoteAddr = "192.0.2.9:1234"
	r.Header.Set("X-Forwarded-For", "192.0.2.1"+strings.Repeat(", 192.0.2.2", 1000))
	rq.Record = tr.Begin(r, rq)
	tr.Write(rq, auditapi.StageResponseComplete)
	from := tr.events(t)[0].SourceIPs
	if len(from) != 32 || from[0] != "192.0.2.1" || from[31] != "192.0.2.9" {
		t.Errorf("from %d addresses, %v, want 32 that end with who really asked", len(from), from)
	}
}
