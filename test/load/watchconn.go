package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// watchWindow is how much a server may send ahead to a watcher that reads. To one that does not it may send
// what HTTP/2 grants by itself, 64 KB on each connection.
const watchWindow = 4 << 20

// watchConn is one HTTP/2 connection with many watches. It reads frames and counts lines, and does nothing
// else, so that what the machine can do is left to the server.
type watchConn struct {
	conn    *tls.Conn
	framer  *http2.Framer
	streams map[uint32]*watchStream
	slow    bool // it stops reading when its watches have begun

	told func(event int, at time.Time) // told of each event with its number on its stream
	took []time.Duration               // from publication to here
}

type watchStream struct {
	events   int
	column   int  // bytes read of the event at hand
	bookmark bool // it is one, and no event
	pending  int  // bytes read since the window was opened last
}

// dialWatches opens watches at path on one new connection.
func dialWatches(address, path string, watches int, config *tls.Config, slow bool) (*watchConn, error) {
	config = config.Clone()
	config.NextProtos = []string{http2.NextProtoTLS}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", address, config)
	if err != nil {
		return nil, err
	}
	c := &watchConn{slow: slow, conn: conn, framer: http2.NewFramer(conn, bufio.NewReaderSize(conn, 64<<10)), streams: map[uint32]*watchStream{}}
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.framer.SetReuseFrames()
	if err := c.open(address, path, watches); err != nil {
		conn.Close()
		return nil, fmt.Errorf("opening watches: %w", err)
	}
	return c, nil
}

func (c *watchConn) open(address, path string, watches int) error {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	_, err := c.conn.Write([]byte(http2.ClientPreface))
	if c.slow {
		err = errors.Join(err, c.framer.WriteSettings())
	} else {
		err = errors.Join(err, c.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: watchWindow}),
			c.framer.WriteWindowUpdate(0, 1<<30))
	}
	for i := range watches {
		block.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", address}, {":path", path},
			{"user-agent", requestAgent}, {"accept", "application/json"}} {
			encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		id := uint32(2*i + 1)
		c.streams[id] = &watchStream{}
		err = errors.Join(err, c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}))
	}
	return err
}

// begin reads until all watches have been answered.
func (c *watchConn) begin() error {
	for answered := 0; answered < len(c.streams); {
		c.conn.SetReadDeadline(time.Now().Add(patience))
		frame, err := c.framer.ReadFrame()
		if err != nil {
			return fmt.Errorf("waiting for watches to begin: %w", err)
		}
		if f, ok := frame.(*http2.MetaHeadersFrame); ok {
			if status := f.PseudoValue("status"); status != "200" || f.StreamEnded() {
				return fmt.Errorf("a watch was answered with status %s", status)
			}
			answered++
		} else if err := c.take(frame); err != nil {
			return err
		}
	}
	return c.conn.SetReadDeadline(time.Time{})
}

// read reads events until the connection is closed.
func (c *watchConn) read() error {
	for {
		frame, err := c.framer.ReadFrame()
		if err == nil {
			err = c.take(frame)
		}
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a watch: %w", err)
		}
	}
}

func (c *watchConn) take(frame http2.Frame) error {
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return c.framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			return c.framer.WritePing(true, f.Data)
		}
	case *http2.DataFrame:
		if f.StreamEnded() {
			return errors.New("it ended")
		}
		return c.count(f.StreamID, f.Data())
	case *http2.RSTStreamFrame, *http2.GoAwayFrame:
		return fmt.Errorf("it was ended by %v", f.Header())
	}
	return nil
}

// count finds the ends of events, and lets the server send on.
func (c *watchConn) count(id uint32, data []byte) error {
	s := c.streams[id]
	s.pending += len(data)
	for now := time.Now(); len(data) > 0; {
		line, rest, ends := bytes.Cut(data, []byte{'\n'})
		if at := bookmarkAt - s.column; at >= 0 && at < len(line) {
			s.bookmark = line[at] == 'B'
		}
		s.column += len(line)
		data = rest
		if !ends {
			break
		}
		if !s.bookmark {
			c.told(s.events, now)
			s.events++
		}
		s.column = 0
	}
	if c.slow || s.pending < watchWindow/2 {
		return nil
	}
	n := uint32(s.pending)
	s.pending = 0
	return errors.Join(c.framer.WriteWindowUpdate(id, n), c.framer.WriteWindowUpdate(0, n))
}

// bookmarkAt is where in an event its type begins.
const bookmarkAt = len(`{"type":"`)

func hostOf(url string) string { return strings.TrimPrefix(url, "https://") }
