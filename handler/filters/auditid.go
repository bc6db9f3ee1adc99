package filters

import (
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/portico-api/portico/handler"
)

// exchange is all that the filters keep of one request, in one allocation.
type exchange struct {
	request handler.Request
	context requestContext
	writer  hijackableWriter
	http1   bool
	// The values of the headers that every answer has.
	auditID, cacheControl [1]string
}

// withAuditID begins the exchange: it notes the arrival and the ID by which the request is found again in logs, audit
// trail and answer, that of the client if it sent one.
func withAuditID() filter {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			x := &exchange{}
			rq := &x.request
			rq.ReceivedAt = time.Now()
			if sent := r.Header["Audit-Id"]; len(sent) > 0 && sent[0] != "" {
				rq.AuditID = sent[0]
			} else {
				rq.AuditID = newUUID()
			}
			x.auditID[0] = rq.AuditID
			w.Header()["Audit-Id"] = x.auditID[:]

			x.writer.inner, x.writer.exchange = w, x
			x.context.request = rq
			x.context.parent = handler.WithRequest(r.Context(), rq)
			r = r.WithContext(&x.context)
			if x.http1 = r.ProtoMajor == 1; x.http1 {
				next.ServeHTTP(&x.writer, r)
			} else {
				next.ServeHTTP(&x.writer.responseWriter, r)
			}
			x.writer.finish()
		})
	}
}

// newUUID makes a random UUID. It need not be unguessable, so it costs no system call.
func newUUID() string {
	var id [16]byte
	for i, half := 0, rand.Uint64(); i < 8; i, half = i+1, half>>8 {
		id[i] = byte(half)
	}
	for i, half := 8, rand.Uint64(); i < 16; i, half = i+1, half>>8 {
		id[i] = byte(half)
	}
	id[6] = id[6]&0x0f | 0x40 // version 4
	id[8] = id[8]&0x3f | 0x80 // the variant of RFC 9562
	var text [36]byte
	hex.Encode(text[0:8], id[0:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:36], id[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}
