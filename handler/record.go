package handler

import (
	"context"
	"net/http"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	auditapi "k8s.io/apiserver/pkg/apis/audit"
)

// Record is what the audit trail says of one request. Whoever serves the request adds what the filters cannot know. A nil Record is that of a
// request of which nothing is written down: it takes everything and keeps nothing, so that nobody needs to ask.
type Record struct {
	// Level says how much is written down, OmitStages when nothing is, and OmitManagedFields what of the bodies is not.
	Level             auditapi.Level
	OmitStages        []auditapi.Stage
	OmitManagedFields bool

	// URI, UserAgent and SourceIPs are those of the request as it came.
	URI       string
	UserAgent string
	SourceIPs []string
	address   [1]string // of SourceIPs, when there is one

	mu   sync.Mutex
	kept Recorded
	room [2]Annotation // of every request that was authorized
}

// Recorded is what was added to a Record so far.
type Recorded struct {
	// Namespace, Name, UID and ResourceVersion are those of the object in the body. The request's path goes before them.
	Namespace       string
	Name            string
	UID             types.UID
	ResourceVersion string
	// Request and Answer are the bodies in JSON; nil when the level does not want them, or there were none.
	Request []byte
	Answer  []byte
	// Status is the answer when it is one; nil when it is not.
	Status *metav1.Status
	// Annotations have different keys.
	Annotations []Annotation
}

// Annotation is what some part of the server wants written down of a request.
type Annotation struct{ Key, Value string }

// ComesFrom notes where the request comes from. It keeps one address without allocating.
func (r *Record) ComesFrom(address string) {
	r.address[0] = address
	r.SourceIPs = r.address[:]
}

// WantsRequest tells whether what the client has sent is to be added.
func (r *Record) WantsRequest() bool {
	return r != nil && (r.Level == auditapi.LevelRequest || r.Level == auditapi.LevelRequestResponse)
}

// WantsAnswer tells whether what the client is sent is to be added.
func (r *Record) WantsAnswer() bool { return r != nil && r.Level == auditapi.LevelRequestResponse }

// Omits tells whether nothing is written down when the request comes to a stage.
func (r *Record) Omits(stage auditapi.Stage) bool { return slices.Contains(r.OmitStages, stage) }

// About notes which object a body is about. What is known already stays.
func (r *Record) About(object metav1.Object) {
	if r == nil || object == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	k := &r.kept
	fill(&k.Namespace, object.GetNamespace())
	fill(&k.Name, object.GetName())
	fill(&k.UID, object.GetUID())
}

// Expects notes which state of the object the client has seen.
func (r *Record) Expects(resourceVersion string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept.ResourceVersion = resourceVersion
}

func fill[T ~string](field *T, value T) {
	if *field == "" {
		*field = value
	}
}

// AddRequest adds what the client has sent, in JSON. It must not be changed afterwards.
func (r *Record) AddRequest(body []byte) {
	if !r.WantsRequest() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept.Request = body
}

// AddAnswer adds what the client is sent, in JSON. It must not be changed afterwards.
func (r *Record) AddAnswer(body []byte) {
	if !r.WantsAnswer() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept.Answer = body
}

// AddStatus adds an answer that is a Status.
func (r *Record) AddStatus(status *metav1.Status) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept.Status = status
}

// Annotate adds an annotation. The first one with a key stays.
func (r *Record) Annotate(key, value string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept.Annotations == nil {
		r.kept.Annotations = r.room[:0]
	}
	if slices.ContainsFunc(r.kept.Annotations, func(a Annotation) bool { return a.Key == key }) {
		return
	}
	r.kept.Annotations = append(r.kept.Annotations, Annotation{key, value})
}

// Kept is what was added so far.
func (r *Record) Kept() Recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kept
}

// RecordFrom returns the Record of the request of ctx, nil when nothing is written down of it, or there is none.
func RecordFrom(ctx context.Context) *Record {
	if r, ok := RequestFrom(ctx); ok {
		return r.Record
	}
	return nil
}

// recordError adds the answer to a request that failed.
func recordError(r *http.Request, status *metav1.Status) {
	if r == nil {
		return
	}
	rq, ok := RequestFrom(r.Context())
	if !ok || rq.Record == nil {
		return
	}
	rq.Record.AddStatus(status)
	if rq.Info.IsResourceRequest && rq.Record.WantsAnswer() {
		rq.Record.AddAnswer(statusJSON(status))
	}
}
