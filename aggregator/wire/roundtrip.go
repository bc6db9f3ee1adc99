package wire

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// RoundTrip sends one of our own requests on c, with its body if it has a length, and reads the head of its answer.
// done is called once with whether the exchange went well, when the body has been read to its end or closed, or
// before RoundTrip returns an error. The answer's body is not for use by several goroutines at once.
func RoundTrip(c *Conn, r *http.Request, done func(err error)) (*http.Response, error) {
	c.Begin()
	stop := context.AfterFunc(r.Context(), c.Interrupt)
	answer, err := c.exchange(r)
	if err != nil {
		c.release(stop)
		if cause := context.Cause(r.Context()); cause != nil {
			err = cause
		}
		done(err)
		return nil, err
	}
	response := &http.Response{
		Status:        strconv.Itoa(answer.Status) + " " + http.StatusText(answer.Status),
		StatusCode:    answer.Status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        make(http.Header, len(answer.Header)),
		ContentLength: answer.Length,
		Request:       r,
	}
	for _, f := range answer.Header {
		response.Header[f.Name] = append(response.Header[f.Name], f.Value)
	}
	response.Body = &responseBody{conn: c, ctx: r.Context(), stop: stop, done: done}
	return response, nil
}

// release ends the watching of a context. An interruption that has begun already must not hit the next request.
func (c *Conn) release(stop func() bool) {
	if !stop() {
		c.Interrupt()
	}
}

func (c *Conn) exchange(r *http.Request) (*Answer, error) {
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	head := append(make([]byte, 0, 1024), method...)
	head = append(head, ' ')
	head = append(head, r.URL.RequestURI()...)
	head = append(head, " HTTP/1.1\r\n"...)
	head = AppendField(head, "Host", r.URL.Host)
	for name, values := range r.Header {
		for _, value := range values {
			head = AppendField(head, name, value)
		}
	}
	if r.Body != nil && r.ContentLength > 0 {
		defer r.Body.Close()
		head = AppendField(head, "Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	head = append(head, "\r\n"...)
	if r.Body != nil && r.ContentLength > 0 {
		body, err := io.ReadAll(io.LimitReader(r.Body, r.ContentLength))
		if err != nil {
			return nil, fmt.Errorf("reading the request's body: %w", err)
		}
		head = append(head, body...)
	}
	if _, err := c.Write(head); err != nil {
		return nil, err
	}
	return c.Receive(method, nil)
}

// responseBody reads the body from the connection and gives it back at the end.
type responseBody struct {
	conn *Conn
	ctx  context.Context // of the request, to tell why a read failed
	stop func() bool
	done func(error)
	rest []byte
	err  error // after rest
	over bool
}

func (b *responseBody) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		if b.err == nil && !b.over {
			b.rest, b.err = b.conn.Next()
			continue
		}
		if b.over && b.err == nil {
			return 0, http.ErrBodyReadAfterClose
		}
		b.finish()
		return 0, b.err
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *responseBody) finish() {
	if b.over {
		return
	}
	b.over = true
	err := b.err
	if err == io.EOF {
		err = nil
	}
	if cause := context.Cause(b.ctx); cause != nil && err != nil {
		b.err, err = cause, cause
	}
	b.conn.release(b.stop)
	b.done(err)
}

// Close ends the exchange; a body that was not read to its end costs the connection.
func (b *responseBody) Close() error {
	b.rest = nil
	b.finish()
	return nil
}
