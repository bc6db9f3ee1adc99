package metrics

import "strconv"

// Verb is the verb label of a request. It is a number, so that what a client sends can never become a label.
type Verb uint8

const (
	Other Verb = iota
	Get
	List
	Watch
	Post
	Put
	Patch
	Apply
	Delete
	Connect
	verbs
)

var verbNames = [verbs]string{"other", "GET", "LIST", "WATCH", "POST", "PUT", "PATCH", "APPLY", "DELETE", "CONNECT"}

// String is the label value.
func (v Verb) String() string { return verbNames[v] }

// VerbOf is the label of a Kubernetes verb ("list") or an HTTP method in lower case ("post").
func VerbOf(verb string) Verb {
	switch verb {
	case "get", "head", "GET", "HEAD":
		return Get
	case "list":
		return List
	case "watch":
		return Watch
	case "create", "post", "POST":
		return Post
	case "update", "put", "PUT":
		return Put
	case "patch", "PATCH":
		return Patch
	case "apply":
		return Apply
	// Upstream counts deletecollection as DELETE, told apart by its scope; dashboards rely on it.
	case "delete", "deletecollection", "DELETE":
		return Delete
	case "connect":
		return Connect
	default:
		return Other
	}
}

// Scope is the scope label of a request.
type Scope uint8

const (
	NoScope Scope = iota
	ResourceScope
	NamespaceScope
	ClusterScope
	scopes
)

var scopeNames = [scopes]string{"", "resource", "namespace", "cluster"}

// String is the label value.
func (s Scope) String() string { return scopeNames[s] }

// DryRun is the dry_run label of a request.
type DryRun uint8

const (
	NotDry DryRun = iota
	DryAll
	DryInvalid
	dryRuns
)

var dryRunNames = [dryRuns]string{"", "All", "invalid"}

// String is the label value.
func (d DryRun) String() string { return dryRunNames[d] }

// codeLabel is the label of a status code; codes outside HTTP's range, which only a hostile backend
// sends, share one.
func codeLabel(code int) string {
	if code < 100 || code > 599 {
		return "other"
	}
	return strconv.Itoa(code)
}
