package rest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/metrics"
)

// watch streams the changes of a collection until its time is over, the client goes or the server
// stops: in each case the stream ends cleanly (contract, section 7.7).
func (e *endpoint) watch(w http.ResponseWriter, r *http.Request, at target, query url.Values) error {
	o := e.offer()
	o.yaml = false
	enc, err := o.negotiate(r, query)
	if err != nil {
		return err
	}
	opts, err := parseList(query, true)
	if err != nil {
		return err
	}
	frames := frameEncoder{endpoint: e, encoding: enc}
	if send := opts.SendInitialEvents; send != nil && *send {
		frames.initial = scopeOf(at)
	}
	if enc.shape == shapeTable {
		if frames.include, err = includeObject(r); err != nil {
			return err
		}
	}

	overSocket := websocket.IsWebSocketUpgrade(r)
	if overSocket {
		if err := socketHandshake(r); err != nil {
			return err
		}
	}

	ctx, cancel := context.WithTimeout(r.Context(), e.lifetime(opts.timeoutSeconds))
	defer cancel()
	defer e.watches.join(cancel)()
	changes, err := e.res.Storage.(Watcher).Watch(ctx, at.namespace, &opts.ListOptions)
	if err != nil {
		var known apierrors.APIStatus
		if ctx.Err() != nil && r.Context().Err() == nil && !errors.As(err, &known) {
			return apierrors.NewServiceUnavailable("the server is shutting down or the watch's time is over")
		}
		return err
	}
	defer changes.Stop()

	if overSocket {
		e.streamOverSocket(ctx, cancel, w, r, changes, &frames)
		return nil
	}
	w.Header()["Content-Type"] = frames.contentType()
	w.WriteHeader(http.StatusOK)
	sink := &flushed{w: w, flusher: http.NewResponseController(w)}
	if err := sink.Flush(); err != nil {
		return nil // the client is gone
	}
	e.stream(ctx, sink, changes, &frames)
	return nil
}

// streamOverSocket is for clients in browsers, which cannot read an answer bit by bit.
func (e *endpoint) streamOverSocket(ctx context.Context, cancel context.CancelFunc, w http.ResponseWriter, r *http.Request, changes Watch, frames *frameEncoder) {
	s, err := openSocket(w, r, frames.encoding.format == formatProtobuf)
	if err != nil {
		return // answered
	}
	var listening sync.WaitGroup
	listening.Go(func() { s.listen(cancel) })
	defer listening.Wait()
	defer s.close()
	e.stream(ctx, s, changes, frames)
}

// frameSink takes the frames of one watch.
type frameSink interface {
	WriteFrame(frame []byte) error
	// Flush sends what has been written; there is nothing more at hand.
	Flush() error
}

// flushed is a watch in an answer that is sent bit by bit.
type flushed struct {
	w       http.ResponseWriter
	flusher *http.ResponseController
}

func (f *flushed) WriteFrame(frame []byte) error {
	_, err := f.w.Write(frame)
	return err
}

func (f *flushed) Flush() error { return f.flusher.Flush() }

// lifetime is how long a watch may last: what the client says, else a random time, so that the watches
// of a restarted server do not all return at once for ever.
func (e *endpoint) lifetime(timeoutSeconds int64) time.Duration {
	if timeoutSeconds > 0 {
		return time.Duration(min(timeoutSeconds, int64(maxWatch/time.Second))) * time.Second
	}
	return time.Duration((1 + rand.Float64()) * float64(e.cfg.MinRequestTimeout))
}

// maxWatch keeps a client's timeoutSeconds from overflowing a duration.
const maxWatch = 1000 * time.Hour

// stream writes events as they come and flushes whenever there are no more at hand.
func (e *endpoint) stream(ctx context.Context, sink frameSink, changes Watch, frames *frameEncoder) {
	seen := e.observe(ctx, frames)
	for {
		events, err := changes.Next()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, io.EOF) {
				return
			}
			if frame, encodeErr := frames.failure(err); encodeErr == nil {
				sink.WriteFrame(frame)
				sink.Flush()
			}
			return
		}
		for i := range events {
			frame, err := frames.encode(&events[i])
			if err != nil {
				klog.FromContext(ctx).Error(err, "encoding a watch event", "resource", e.gvr.String())
				return
			}
			if err := sink.WriteFrame(frame); err != nil {
				return
			}
			seen(&events[i], len(frame))
		}
		if err := sink.Flush(); err != nil {
			return
		}
	}
}

// frameEncoder writes one watch's events in the form that was agreed on. In JSON and the resource's own
// shape that is the frame all watchers share.
type frameEncoder struct {
	endpoint *endpoint
	encoding encoding
	include  metav1.IncludeObjectPolicy

	initial     metrics.Scope // of the watch, when it begins with the state that there is; else NoScope
	columnsSent bool
	scratch     []byte
	object      []byte // of a protobuf frame
}

var protobufWatchHeader = []string{mediaProtobuf + ";stream=watch"}

func (f *frameEncoder) contentType() []string {
	if f.encoding.format == formatProtobuf {
		return protobufWatchHeader
	}
	return jsonHeader
}

// encode returns the frame of ev, valid until the next call.
func (f *frameEncoder) encode(ev *Event) ([]byte, error) {
	if f.encoding.format == formatProtobuf {
		return f.protobuf(ev)
	}
	if f.encoding.shape == shapeObject {
		return ev.Frame, nil
	}
	var err error
	dst := appendFrameHeader(f.scratch[:0], ev.Type)
	stored := ev.Object.JSON()
	switch {
	case f.encoding.shape == shapePartial:
		dst = appendPartial(dst, stored)
	case ev.Type == watch.Bookmark: // has no row to show
		dst = f.endpoint.table.open(dst, metav1.ListMeta{ResourceVersion: resourceVersionOf(stored)}, !f.columnsSent)
		dst = f.endpoint.table.close(dst)
		f.columnsSent = true
	default:
		dst = f.endpoint.table.open(dst, metav1.ListMeta{ResourceVersion: resourceVersionOf(stored)}, !f.columnsSent)
		if dst, err = f.endpoint.table.row(dst, stored, f.include); err != nil {
			return nil, err
		}
		dst = f.endpoint.table.close(dst)
		f.columnsSent = true
	}
	f.scratch = append(dst, "}\n"...)
	return f.scratch, nil
}

// frameLength is how many bytes tell the length of a protobuf frame.
const frameLength = 4

// protobuf frames are a length of four bytes and a WatchEvent without the magic prefix, around an object
// with it.
func (f *frameEncoder) protobuf(ev *Event) ([]byte, error) {
	shape := f.encoding.shape
	message, err := f.endpoint.message(shape, ev.Object)
	if err != nil {
		return nil, err
	}
	f.object = appendEnvelope(f.object[:0], f.endpoint.kindOf(shape), message)
	return f.protobufFrame(ev.Type, f.object)
}

func (f *frameEncoder) protobufFrame(typ watch.EventType, object []byte) ([]byte, error) {
	event := metav1.WatchEvent{Type: string(typ)}
	event.Object.Raw = object
	size := event.Size()
	if cap(f.scratch) < frameLength+size {
		f.scratch = make([]byte, frameLength+size)
	}
	frame := f.scratch[:frameLength+size]
	frame[0], frame[1], frame[2], frame[3] = byte(size>>24), byte(size>>16), byte(size>>8), byte(size)
	if _, err := event.MarshalTo(frame[frameLength:]); err != nil {
		return nil, err
	}
	return frame, nil
}

// failure is the last frame of a watch that cannot go on: an ERROR event with the Status of err.
func (f *frameEncoder) failure(err error) ([]byte, error) {
	var known apierrors.APIStatus
	status := metav1.Status{Status: metav1.StatusFailure, Code: http.StatusInternalServerError,
		Reason: metav1.StatusReasonInternalError, Message: "Internal error occurred: the watch cannot go on"}
	if errors.As(err, &known) {
		status = known.Status()
	}
	status.SetGroupVersionKind(statusKind)
	if f.encoding.format == formatProtobuf {
		object, err := f.endpoint.encodeProtobuf(nil, &status)
		if err != nil {
			return nil, err
		}
		return f.protobufFrame(watch.Error, object)
	}
	body, err := json.Marshal(&status)
	if err != nil {
		return nil, err
	}
	dst := appendFrameHeader(nil, watch.Error)
	dst = append(dst, body...)
	return append(dst, "}\n"...), nil
}

func appendFrameHeader(dst []byte, typ watch.EventType) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(dst, typ...)
	return append(dst, `","object":`...)
}
