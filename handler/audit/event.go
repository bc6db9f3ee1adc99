package audit

import (
	"bytes"
	"encoding/json"
	"time"

	auditapi "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/handler"
)

// event is one request at one stage.
type event struct {
	request *handler.Request
	record  *handler.Record
	kept    handler.Recorded
	stage   auditapi.Stage
	id, uri string
	at      time.Time

	user, impersonated user.Info // nil when there is none
	// sent and answer are the bodies, on one line.
	sent, answer []byte
	truncated    bool
}

func newEvent(rq *handler.Request, stage auditapi.Stage, now time.Time) *event {
	e := &event{request: rq, record: rq.Record, kept: rq.Record.Kept(), stage: stage, at: now, user: rq.User}
	e.id, e.uri = rq.AuditID, rq.Record.URI
	if rq.Impersonator != nil {
		e.user, e.impersonated = rq.Impersonator, rq.User
	}
	if stage == auditapi.StageRequestReceived {
		e.at = rq.ReceivedAt
	}
	e.sent = onALine(e.kept.Request, e.record.OmitManagedFields)
	e.answer = onALine(e.kept.Answer, e.record.OmitManagedFields)
	return e
}

// maxText is how much of what a client may choose at will is in an event that must be short.
const maxText = 4096

// shortened is the event when it is too large otherwise: without bodies. Long addresses and IDs are cut, or clients could keep themselves out of
// the trail with them.
func (e *event) shortened() *event {
	short := *e
	short.sent, short.answer, short.truncated = nil, nil, true
	short.id, short.uri = cutText(e.id), cutText(e.uri)
	return &short
}

func cutText(s string) string {
	if len(s) <= maxText {
		return s
	}
	return s[:maxText] + cutMark
}

// appendJSON appends the event as an Event of audit.k8s.io/v1, without a newline. The order of the fields is that of kube-apiserver.
func (e *event) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":`...)
	dst = appendString(dst, string(e.record.Level))
	dst = appendField(dst, "auditID", e.id)
	dst = appendField(dst, "stage", string(e.stage))
	dst = appendField(dst, "requestURI", e.uri)
	dst = appendField(dst, "verb", e.request.Info.Verb)
	dst = append(dst, `,"user":`...)
	dst = appendUser(dst, e.user)
	if e.impersonated != nil {
		dst = append(dst, `,"impersonatedUser":`...)
		dst = appendUser(dst, e.impersonated)
	}
	if len(e.record.SourceIPs) > 0 {
		dst = append(dst, `,"sourceIPs":`...)
		dst = appendStrings(dst, e.record.SourceIPs)
	}
	if e.record.UserAgent != "" {
		dst = appendField(dst, "userAgent", e.record.UserAgent)
	}
	if e.request.Info.IsResourceRequest {
		dst = e.appendObjectRef(dst)
	}
	dst = e.appendStatus(dst)
	if e.sent != nil {
		dst = append(dst, `,"requestObject":`...)
		dst = append(dst, e.sent...)
	}
	if e.answer != nil {
		dst = append(dst, `,"responseObject":`...)
		dst = append(dst, e.answer...)
	}
	dst = append(dst, `,"requestReceivedTimestamp":`...)
	dst = appendTime(dst, e.request.ReceivedAt)
	dst = append(dst, `,"stageTimestamp":`...)
	dst = appendTime(dst, e.at)
	dst = e.appendAnnotations(dst)
	return append(dst, '}')
}

// appendObjectRef appends what the path says of the object, and for the rest what its body does.
func (e *event) appendObjectRef(dst []byte) []byte {
	info := &e.request.Info
	first := true
	field := func(name, value string) {
		if value == "" {
			return
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendString(dst, name)
		dst = append(dst, ':')
		dst = appendString(dst, value)
	}
	dst = append(dst, `,"objectRef":{`...)
	field("resource", info.Resource)
	field("namespace", or(info.Namespace, e.kept.Namespace))
	field("name", or(info.Name, e.kept.Name))
	field("uid", string(e.kept.UID))
	field("apiGroup", info.APIGroup)
	field("apiVersion", info.APIVersion)
	field("resourceVersion", e.kept.ResourceVersion)
	field("subresource", info.Subresource)
	return append(dst, '}')
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// appendStatus appends how the request was answered, once it is.
func (e *event) appendStatus(dst []byte) []byte {
	s := e.kept.Status
	if s == nil {
		return dst
	}
	dst = append(dst, `,"responseStatus":{"metadata":{}`...)
	if s.Status != "" {
		dst = appendField(dst, "status", s.Status)
	}
	if s.Message != "" {
		dst = appendField(dst, "message", s.Message)
	}
	if s.Reason != "" {
		dst = appendField(dst, "reason", string(s.Reason))
	}
	if s.Details != nil {
		if details, err := json.Marshal(s.Details); err == nil { // of strings and numbers only
			dst = append(dst, `,"details":`...)
			dst = append(dst, details...)
		}
	}
	dst = append(dst, `,"code":`...)
	dst = appendInt(dst, int(s.Code))
	return append(dst, '}')
}

func (e *event) appendAnnotations(dst []byte) []byte {
	if len(e.kept.Annotations) == 0 && !e.truncated {
		return dst
	}
	dst = append(dst, `,"annotations":{`...)
	for i, a := range e.kept.Annotations {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, a.Key)
		dst = append(dst, ':')
		dst = appendString(dst, a.Value)
	}
	if e.truncated {
		if len(e.kept.Annotations) > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `"audit.k8s.io/truncated":"true"`...)
	}
	return append(dst, '}')
}

// onALine is a body on one line, or nil when it is no JSON: what a client has sent may be anything.
func onALine(body []byte, omitManagedFields bool) []byte {
	if body == nil {
		return nil
	}
	if omitManagedFields {
		body = withoutManagedFields(body)
	}
	var line bytes.Buffer
	line.Grow(len(body))
	if err := json.Compact(&line, body); err != nil || line.Len() == 0 {
		return nil
	}
	return line.Bytes()
}
