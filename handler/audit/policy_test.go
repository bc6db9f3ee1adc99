package audit_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	auditapi "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/audit"
)

const head = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"

// asked is a request of someone, as the filters have understood it.
func asked(t testing.TB, u user.Info, method, target string) (*http.Request, *handler.Request) {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	rq := &handler.Request{User: u, AuditID: "the-id"}
	if err := rq.Info.Parse(r); err != nil {
		t.Fatal(err)
	}
	return r, rq
}

func level(t testing.TB, rules string, u user.Info, method, target string) auditapi.Level {
	t.Helper()
	policy, err := audit.ParsePolicy([]byte(head + rules))
	if err != nil {
		t.Fatal(err)
	}
	if record := audit.New(policy, nil).Begin(asked(t, u, method, target)); record != nil {
		return record.Level
	}
	return auditapi.LevelNone
}

func TestTheFirstRuleThatFitsDecides(t *testing.T) {
	someone := &user.DefaultInfo{Name: "someone", Groups: []string{"people"}}
	const m, r = auditapi.LevelMetadata, auditapi.LevelRequest
	for name, c := range map[string]struct {
		rules  string
		method string
		target string
		want   auditapi.Level
	}{
		"any request":                      {"rules: [{level: Metadata}]", "GET", "/version", m},
		"the first of two":                 {"rules: [{level: Request}, {level: Metadata}]", "GET", "/version", r},
		"no rule":                          {"rules: [{level: Metadata, users: [other]}]", "GET", "/version", auditapi.LevelNone},
		"a rule of none before":            {"rules: [{level: None, users: [someone]}, {level: Metadata}]", "GET", "/version", auditapi.LevelNone},
		"a user":                           {"rules: [{level: Metadata, users: [other, someone]}]", "GET", "/version", m},
		"a group":                          {"rules: [{level: Metadata, userGroups: [people]}]", "GET", "/version", m},
		"another group":                    {"rules: [{level: Metadata, userGroups: [machines]}]", "GET", "/version", auditapi.LevelNone},
		"a verb":                           {"rules: [{level: Metadata, verbs: [list]}]", "GET", "/api/v1/nodes", m},
		"another verb":                     {"rules: [{level: Metadata, verbs: [get]}]", "GET", "/api/v1/nodes", auditapi.LevelNone},
		"a namespace":                      {"rules: [{level: Metadata, namespaces: [ns]}]", "GET", "/api/v1/namespaces/ns/pods", m},
		"no namespace":                     {`rules: [{level: Metadata, namespaces: [""]}]`, "GET", "/api/v1/nodes", m},
		"another namespace":                {"rules: [{level: Metadata, namespaces: [ns]}]", "GET", "/api/v1/namespaces/o/pods", auditapi.LevelNone},
		"a group of resources":             {"rules: [{level: Metadata, resources: [{group: apps}]}]", "GET", "/apis/apps/v1/deployments", m},
		"every group":                      {`rules: [{level: Metadata, resources: [{group: "*", resources: [scales]}]}]`, "GET", "/apis/g/v1/scales", m},
		"a resource":                       {`rules: [{level: Metadata, resources: [{resources: [pods]}]}]`, "GET", "/api/v1/pods", m},
		"a resource without subresources":  {`rules: [{level: Metadata, resources: [{resources: [pods]}]}]`, "GET", "/api/v1/namespaces/ns/pods/p/log", auditapi.LevelNone},
		"a subresource":                    {`rules: [{level: Metadata, resources: [{resources: [pods/log]}]}]`, "GET", "/api/v1/namespaces/ns/pods/p/log", m},
		"every subresource of a resource":  {`rules: [{level: Metadata, resources: [{resources: ["pods/*"]}]}]`, "GET", "/api/v1/namespaces/ns/pods/p/log", m},
		"a resource by its subresources":   {`rules: [{level: Metadata, resources: [{resources: ["pods/*"]}]}]`, "GET", "/api/v1/pods", m},
		"a namespace, which is in itself":  {"rules: [{level: Metadata, namespaces: [ns]}]", "GET", "/api/v1/namespaces/ns", m},
		"a namespace is in some namespace": {`rules: [{level: Metadata, namespaces: [""]}]`, "GET", "/api/v1/namespaces/ns", auditapi.LevelNone},
		"all namespaces are in none":       {`rules: [{level: Metadata, namespaces: [""]}]`, "GET", "/api/v1/namespaces", m},
		"a subresource of every resource":  {`rules: [{level: Metadata, resources: [{resources: ["*/log"]}]}]`, "GET", "/api/v1/namespaces/ns/pods/p/log", m},
		"every resource and subresource":   {`rules: [{level: Metadata, resources: [{resources: ["*"]}]}]`, "GET", "/api/v1/namespaces/ns/pods/p/log", m},
		"a name":                           {`rules: [{level: Metadata, resources: [{resources: [pods], resourceNames: [p]}]}]`, "GET", "/api/v1/namespaces/ns/pods/p", m},
		"another name":                     {`rules: [{level: Metadata, resources: [{resources: [pods], resourceNames: [p]}]}]`, "GET", "/api/v1/namespaces/ns/pods/q", auditapi.LevelNone},
		"a path":                           {"rules: [{level: Metadata, nonResourceURLs: [/version]}]", "GET", "/version", m},
		"paths that begin alike":           {`rules: [{level: Metadata, nonResourceURLs: ["/healthz*"]}]`, "GET", "/healthz/etcd", m},
		"every path, but for resources":    {`rules: [{level: Metadata, nonResourceURLs: ["*"]}]`, "GET", "/api/v1/pods", auditapi.LevelNone},
		"every path":                       {`rules: [{level: Metadata, nonResourceURLs: ["*"]}]`, "GET", "/metrics", m},
		"all of what a rule says":          {"rules: [{level: Metadata, users: [someone], verbs: [create]}]", "GET", "/version", auditapi.LevelNone},
		"a rule about resources, and path": {"rules: [{level: Metadata, resources: [{group: apps}]}]", "GET", "/version", auditapi.LevelNone},
	} {
		t.Run(name, func(t *testing.T) {
			if got := level(t, c.rules, someone, c.method, c.target); got != c.want {
				t.Errorf("%s of %s with %s: level %s, want %s", c.method, c.target, c.rules, got, c.want)
			}
		})
	}
	if got := level(t, "rules: [{level: Metadata, users: [someone]}]", nil, "GET", "/version"); got != auditapi.LevelNone {
		t.Errorf("a request of nobody is written down at level %s by a rule about users", got)
	}
}

func TestAVerbThatNoRequestHasIsDoubted(t *testing.T) {
	policy, err := audit.ParsePolicy([]byte(head + `rules: [{level: Metadata, verbs: [get, list, watch, create, update, patch, delete, deletecollection, proxy]},
  {level: Metadata, verbs: [get, GET, "*"]}, {level: None, nonResourceURLs: ["*"], verbs: [head, post, put, options, readonly]}]`))
	if err != nil {
		t.Fatal(err)
	}
	doubts := policy.Doubts()
	want := []string{`rules[1].verbs names "GET"`, `rules[1].verbs names "*"`, `rules[2].verbs names "readonly"`}
	if len(doubts) != len(want) {
		t.Fatalf("got %q, want %q", doubts, want)
	}
	for i, doubt := range doubts {
		if !strings.HasPrefix(doubt, want[i]) || strings.Contains(doubt, "\n") {
			t.Errorf("got %q, want a line that begins %q", doubt, want[i])
		}
	}
}

func TestAPolicyIsExplained(t *testing.T) {
	policy, err := audit.ParsePolicy([]byte(head + "rules: [{level: None, verbs: [list]}, {level: Request, omitStages: [Panic], verbs: [put]}, {level: Metadata}]"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][4]string{
		{"GET", "/api/v1/pods", "None", "nothing"}, {"PUT", "/x", "Request", "every stage but [Panic]"}, {"GET", "/x", "Metadata", "every stage"},
	} {
		_, rq := asked(t, nil, c[0], c[1])
		if decision, why := audit.New(policy, nil).Explain(rq); decision != c[2] || !strings.Contains(why, c[3]) {
			t.Errorf("%v: %s, %s", c, decision, why)
		}
	}
}

func TestWhatIsOmittedIsOfTheRuleAndOfThePolicy(t *testing.T) {
	policy, err := audit.ParsePolicy([]byte(head + "omitStages: [RequestReceived]\nomitManagedFields: true\nrules: [{level: Metadata, verbs: [get], omitStages: [Panic], omitManagedFields: false}, {level: Metadata}]"))
	if err != nil {
		t.Fatal(err)
	}
	a := audit.New(policy, nil)
	first, second := a.Begin(asked(t, nil, "GET", "/version")), a.Begin(asked(t, nil, "POST", "/version"))
	if !first.Omits(auditapi.StageRequestReceived) || !first.Omits(auditapi.StagePanic) || first.Omits(auditapi.StageResponseComplete) || first.OmitManagedFields {
		t.Errorf("the first rule: %v, managed fields omitted: %v", first.OmitStages, first.OmitManagedFields)
	}
	if !second.Omits(auditapi.StageRequestReceived) || second.Omits(auditapi.StagePanic) || !second.OmitManagedFields {
		t.Errorf("the second rule: %v, managed fields omitted: %v", second.OmitStages, second.OmitManagedFields)
	}
}

func TestAPolicyThatIsWrongIsRefusedOnOneLine(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":            {"", "empty"},
		"no YAML":            {"\t{", "yaml"},
		"no policy":          {"hello", "json"},
		"no kind":            {"rules: [{level: Metadata}]", "kind"},
		"another kind":       {"apiVersion: audit.k8s.io/v1\nkind: Event\nlevel: Metadata", "Event"},
		"another version":    {"apiVersion: audit.k8s.io/v2\nkind: Policy", "v2"},
		"no rules":           {head, "no rules"},
		"no level":           {head + "rules: [{users: [a]}]", "rules[0].level"},
		"an unknown level":   {head + "rules: [{level: All}]", "rules[0].level"},
		"an unknown stage":   {head + "rules: [{level: Metadata, omitStages: [Begin]}]", "rules[0].omitStages[0]"},
		"a misspelt field":   {head + "rules: [{level: Metadata, user: [a]}]", `"rules[0].user"`},
		"a field twice":      {head + "rules: [{level: Metadata, level: None}]", "level"},
		"both kinds of path": {head + "rules: [{level: Metadata, nonResourceURLs: [/a], namespaces: [ns]}]", "rules[0].nonResourceURLs"},
		"a relative path":    {head + "rules: [{level: Metadata, nonResourceURLs: [a]}]", "rules[0].nonResourceURLs[0]"},
		"names of nothing":   {head + "rules: [{level: Metadata, resources: [{resourceNames: [a]}]}]", "resourceNames"},
		"a group of version": {head + "rules: [{level: Metadata, resources: [{group: apps/v1}]}]", "apps/v1"},
		"two documents":      {head + "rules: [{level: None}]\n---\n" + head + "rules: [{level: Metadata}]", "2 documents"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "policy.yaml")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := audit.ReadPolicy(file)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %s and %s", err, file, c.want)
			}
		})
	}
	if _, err := audit.ReadPolicy("/nonexistent"); err == nil || !strings.Contains(err.Error(), "/nonexistent") {
		t.Errorf("of a file that is not there: %v", err)
	}
}

func FuzzPolicy(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "---\n---\n", head, head + "rules: [{level: Metadata}]", head + "rules: [{level: None, nonResourceURLs: ['/healthz*', '']}]",
		head + `rules: [{level: RequestResponse, resources: [{group: "*", resources: ["*/scale", "pods/*", "/"], resourceNames: [""]}]}]`,
		head + "omitStages: [Panic]\nrules: [{level: Request, users: [someone], userGroups: [people], verbs: [get], namespaces: [''], omitManagedFields: true}]",
		`{"apiVersion":"audit.k8s.io/v1","kind":"Policy","rules":[{"level":"Metadata"}]}`, head + "rules: &a [*a]", "a: &a [*b]\nb: &b [*a]", head + "rules: null", "\xff",
	} {
		f.Add([]byte(seed))
	}
	someone := &user.DefaultInfo{Name: "someone", Groups: []string{"people"}}
	f.Fuzz(func(t *testing.T, data []byte) {
		policy, err := audit.ParsePolicy(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("more than one line: %q", err)
			}
			return
		}
		a := audit.New(policy, nil)
		for _, target := range []string{"/version", "/api/v1/namespaces/ns/pods/p/log", "/apis/apps/v1/deployments"} {
			record := a.Begin(asked(t, someone, "GET", target))
			if record != nil && record.Level == auditapi.LevelNone {
				t.Errorf("%s: a record of level None", target)
			}
		}
	})
}
