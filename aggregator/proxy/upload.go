package proxy

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/portico-api/portico/aggregator/wire"
)

const (
	// continueTimeout is how long a backend may take to ask for a body that the client offers to hold back.
	continueTimeout = time.Second
	// earlyGrace is how long an HTTP/1.1 client that is just sending the end of its body may go on when the answer is there.
	earlyGrace = 5 * time.Millisecond
	// chunkRoom is before the data of a chunk for its size, and behind it for its end.
	chunkRoom = 16
)

// upload sends the body of a request on a goroutine of its own, while the handler reads the answer: either may come to its end first.
type upload struct {
	conn    *wire.Conn
	stop    func() // ends the exchange
	body    io.ReadCloser
	chunked bool
	left    int64 // of what the head has promised, if it is not chunked
	copies  *copies

	want chan struct{} // closed when the backend wants the body; nil if it need not say so
	quit chan struct{} // closed when nobody wants it any more
	done chan struct{} // closed at the end

	asked   bool  // the handler's own
	over    bool  // quit is closed; the handler's own
	readErr error // why the client's body could not be read; read after done
	whole   bool  // all was sent; read after done
}

func (p *passage) startUpload(conn *wire.Conn, expects bool) {
	u := &upload{
		conn:    conn,
		stop:    conn.Interrupt,
		body:    p.r.Body,
		chunked: p.r.ContentLength < 0,
		left:    p.r.ContentLength,
		copies:  &p.h.copies,
		quit:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	if expects {
		u.want = make(chan struct{})
	}
	p.upload = u
	// Otherwise the server would read the rest of the body before it lets an answer out.
	_ = http.NewResponseController(p.w).EnableFullDuplex()
	go u.run()
}

// wanted tells that the backend has asked for the body.
func (u *upload) wanted() {
	if u.want != nil && !u.asked {
		u.asked = true
		close(u.want)
	}
}

// answered tells that there is an answer, or that there will be none. Who has not asked for the body by then does not get it.
func (u *upload) answered(well bool) {
	if !well || u.want != nil && !u.asked {
		u.giveUp()
	}
}

func (u *upload) giveUp() {
	if !u.over {
		u.over = true
		close(u.quit)
	}
}

func (u *upload) run() {
	defer close(u.done)
	if u.want != nil {
		timer := time.NewTimer(continueTimeout)
		defer timer.Stop()
		select {
		case <-u.want:
		case <-timer.C:
		case <-u.quit:
			return
		}
	}
	buffer := u.copies.get()
	defer u.copies.put(buffer)
	for {
		n, err := u.body.Read(buffer[chunkRoom : len(buffer)-chunkRoom])
		last := err == io.EOF
		if u.left -= int64(n); !u.chunked && (u.left < 0 || last && u.left > 0) {
			n, last, err = 0, false, errOtherLength
		}
		if werr := u.write(buffer, n, last); werr != nil {
			return // the answer, or that there is none, says more
		}
		if last {
			u.whole = true
			return
		}
		if err != nil {
			u.conn.Interrupt() // the backend must not take what it has for all
			select {
			case <-u.quit: // it was us who ended the reading
			default:
				u.readErr = err
			}
			return
		}
	}
}

// errOtherLength keeps the backend from reading the next request as a part of this one, or the other way round.
var errOtherLength = errors.New("the body is not as long as its header says")

// write sends n bytes of the buffer, and the end of the body after the last of them.
func (u *upload) write(buffer *[copyBuffer]byte, n int, last bool) error {
	part := buffer[chunkRoom : chunkRoom+n]
	if u.chunked {
		from := chunkRoom
		if n > 0 {
			var size [chunkRoom]byte
			line := append(strconv.AppendInt(size[:0], int64(n), 16), "\r\n"...)
			from -= len(line)
			copy(buffer[from:], line)
		}
		part = buffer[from : chunkRoom+n]
		if n > 0 {
			part = append(part, "\r\n"...)
		}
		if last {
			part = append(part, "0\r\n\r\n"...)
		}
	}
	if len(part) == 0 {
		return nil
	}
	_, err := u.conn.Write(part)
	return err
}

// settle prepares an answer that came before the end of the request. An HTTP/1.1 client cannot be kept: what it
// still sends is no request.
func (u *upload) settle(p *passage) {
	if u == nil || p.r.ProtoMajor != 1 {
		return
	}
	timer := time.NewTimer(earlyGrace)
	defer timer.Stop()
	select {
	case <-u.done:
		if u.whole {
			return
		}
	case <-timer.C:
	}
	p.w.Header()["Connection"] = []string{"close"}
}

// end makes sure that nothing is sent any more, and that nobody reads the client's body. It returns why that could not be read, if it could not.
// A backend that has not got all of the body may wait for the rest: what came next on the connection would be taken for it.
func (u *upload) end(p *passage) error {
	if u == nil {
		return nil
	}
	select {
	case <-u.done:
	default:
		u.giveUp()
		u.stop()
		// A read that waits for an HTTP/1.1 client holds the lock of the body, so it cannot be closed; time can run out for it.
		if p.r.ProtoMajor == 1 {
			_ = http.NewResponseController(p.w).SetReadDeadline(time.Unix(1, 0))
		} else {
			_ = u.body.Close()
		}
		<-u.done
	}
	if !u.whole {
		u.stop()
	}
	return u.readErr
}

// isTooLarge tells whether a body was cut off because it is too long.
func isTooLarge(err error) bool {
	var tooLarge *http.MaxBytesError
	return errors.As(err, &tooLarge)
}
