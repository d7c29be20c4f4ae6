// Package httpstream writes HTTP responses that have no end of their own: a line for every change, until the client
// leaves or the service stops.
//
//	err := httpstream.Serve(w, r, func(ctx context.Context) (iter.Seq2[httpstream.Line, error], error) {
//		changes, err := cache.Watch(ctx, version)
//		if err != nil {
//			return nil, err // no header has been sent yet, so the caller can still respond with a status
//		}
//		return encodeLines(changes), nil
//	}, errorLine)
package httpstream

import (
	"bytes"
	"context"
	"iter"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/blox/blox/internal/httpserver"
)

// Line is one line of a stream.
type Line struct {
	Prefix []byte // sent before Text, unless that is empty
	Text   []byte // with its newline; empty if there is nothing to send
	More   bool   // another line follows at once, so both are sent together
}

// Open starts a stream's source. Ctx ends when the client leaves or the service stops. The source yields lines, and
// perhaps an error, which is its last. It returns an error if the stream cannot start.
type Open func(ctx context.Context) (iter.Seq2[Line, error], error)

// Serve responds with the lines of a source. It sends the headers before the first line, as that may take long. It
// returns the error of open, before which it has sent nothing, and nil in all other cases.
//
// If the source yields an error, Serve sends errorLine's result as the last line. Clients that know no such lines have
// a nil errorLine, or one that returns nil: Serve aborts their response, as a clean end would hide the error.
func Serve(w http.ResponseWriter, r *http.Request, open Open, errorLine func(error) []byte) error {
	ctx, cancel := httpserver.StreamContext(r)
	defer cancel()
	lines, err := open(ctx)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	// Proxies must pass on each line at once: nginx buffers responses by default, and compression would hold lines back.
	w.Header().Set("Cache-Control", "no-store, no-transform")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	if err := http.NewResponseController(w).Flush(); err != nil || r.Method == http.MethodHead {
		return nil
	}
	out := writer{send: func(p []byte) error { return httpserver.WriteAndFlush(w, p) }}
	defer out.release()
	for line, err := range lines {
		if err != nil {
			last := []byte(nil)
			if errorLine != nil {
				last = errorLine(err)
			}
			if last == nil {
				panic(http.ErrAbortHandler)
			}
			line = Line{Text: last}
		}
		if out.write(line) != nil || err != nil {
			return nil
		}
	}
	return nil
}

// maxBuffered is how many bytes of lines are sent together.
const maxBuffered = 64 << 10

// buffers are few, even if there are thousands of streams.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// writer sends lines that follow each other at once together: a system call for each line would be too slow for a
// thousand streams.
type writer struct {
	send     func([]byte) error
	buffered *bytes.Buffer // lines that have not been sent; nil if there are none
}

func (w *writer) write(line Line) error {
	text := line.Text
	if len(text) > 0 && (line.More || len(line.Prefix) > 0) || w.buffered != nil {
		if w.buffered == nil {
			w.buffered = buffers.Get().(*bytes.Buffer)
		}
		if len(text) > 0 {
			w.buffered.Write(line.Prefix)
		}
		w.buffered.Write(text)
		if line.More && w.buffered.Len() < maxBuffered {
			return nil
		}
		text = w.buffered.Bytes()
	}
	if len(text) == 0 {
		return nil
	}
	defer w.release()
	return w.send(text)
}

func (w *writer) release() {
	if w.buffered != nil {
		w.buffered.Reset()
		buffers.Put(w.buffered)
		w.buffered = nil
	}
}

// ParseHeartbeat reads the value of a stream's query parameter heartbeat: whole seconds from 1 to 300. It returns 0 for
// an empty value, and false for an invalid one.
func ParseHeartbeat(value string) (interval time.Duration, ok bool) {
	if value == "" {
		return 0, true
	}
	seconds, err := strconv.Atoi(value)
	if err != nil || seconds < 1 || seconds > 300 {
		return 0, false
	}
	return time.Duration(seconds) * time.Second, true
}
