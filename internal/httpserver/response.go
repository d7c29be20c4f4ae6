package httpserver

import (
	"net/http"
	"time"
)

// pieceSize is how many bytes of a response a client must take within the write timeout.
const pieceSize = 64 << 10

// response is an http.ResponseWriter that records the status and size of its response. It limits the time that it waits
// for a client that does not read.
type response struct {
	http.ResponseWriter
	controller   *http.ResponseController
	conn         *bufferedConn // nil if the connection is not Serve's, or is shared by several requests
	overTLS      bool          // the deadline must be cleared between writes
	buffering    bool          // written bytes go out later, under the same deadline
	writeTimeout time.Duration
	extendedAt   time.Time // when the deadline was last extended
	status       int       // 0 until the header is sent
	bytes        int
	aborted      bool
}

// statusCode is the status that the client sees. A handler that sends nothing responds with 200.
func (r *response) statusCode() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

// extendDeadline gives the client the write timeout anew. As that costs as much as a small write, a deadline that was
// extended just before stays.
func (r *response) extendDeadline() {
	if now := time.Now(); now.Sub(r.extendedAt) > r.writeTimeout/32 {
		r.extendedAt = now
		_ = r.controller.SetWriteDeadline(now.Add(r.writeTimeout))
	}
}

// clearDeadline removes the deadline over TLS until the next write. HTTP/2 ends a stream at its deadline even if no
// bytes wait, and over TLS a read may write.
func (r *response) clearDeadline() {
	if r.overTLS && !r.buffering {
		r.extendedAt = time.Time{}
		_ = r.controller.SetWriteDeadline(time.Time{})
	}
}

// Unwrap is for http.ResponseController.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *response) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK { // lower ones are interim
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write writes p in pieces, and gives the client the full write timeout for each of them.
func (r *response) Write(p []byte) (written int, err error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	defer r.clearDeadline()
	for {
		r.extendDeadline()
		n, err := r.ResponseWriter.Write(p[:min(len(p), pieceSize)])
		written += n
		r.bytes += n
		p = p[n:]
		if err != nil || len(p) == 0 {
			return written, err
		}
	}
}

// FlushError is what http.ResponseController's Flush calls.
func (r *response) FlushError() error {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	r.extendDeadline()
	defer r.clearDeadline()
	return r.controller.Flush()
}

// Flush is for callers that know http.Flusher only.
func (r *response) Flush() { _ = r.FlushError() }
