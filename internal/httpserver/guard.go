package httpserver

import (
	"errors"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/sirupsen/logrus"
)

// guard keeps next, the server and its other clients unharmed by one request: bodies are bounded in size and time,
// answers in how slowly they may be taken, a panic ends only its own request, pages of other sites change nothing, and every
// request is logged.
func guard(next http.Handler, log logrus.FieldLogger, s settings) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		answer := &answer{ResponseWriter: w, controller: http.NewResponseController(w), slowest: s.write, patient: r.TLS != nil}
		if r.ProtoMajor == 1 {
			answer.conn, _ = r.Context().Value(connectionKey{}).(*gathering)
		}
		defer answer.extend() // for what net/http sends after the handler; the next request finds a deadline long past
		defer func() {
			took := time.Since(started)
			s.observe(r, answer.sent(), took)
			if answer.sent() >= http.StatusInternalServerError || debugs(log) {
				logRequest(log, r, answer, took)
			}
		}()
		defer contain(log, r, answer, s.failure)

		if foreign(r) {
			Error(answer, http.StatusForbidden, foreignPage)
			return
		}
		if r.ContentLength > maxBody {
			if r.ProtoMajor == 1 {
				w.Header().Set("Connection", "close") // rather than read all of it
			}
			Error(answer, http.StatusRequestEntityTooLarge, bodyTooLarge)
			return
		}
		if r.Body != http.NoBody {
			answer.extend() // for 100 Continue
			limited := *r
			limited.Body = limitedBody{http.MaxBytesReader(w, r.Body, maxBody)}
			r = &limited
		}
		next.ServeHTTP(answer, r)
	})
}

// contain ends a request whose handler panicked: with 500 when nothing is sent yet, else by cutting the connection.
func contain(log logrus.FieldLogger, r *http.Request, answer *answer, text string) {
	failure := recover()
	if failure == nil {
		return
	}
	if failure == http.ErrAbortHandler { // the handler's own wish
		answer.aborted = true
		panic(failure)
	}
	log.WithFields(logrus.Fields{
		"method": r.Method, "path": r.URL.Path, "panic": failure, "stack": string(debug.Stack()),
	}).Error("request panicked")
	if answer.status != 0 {
		answer.aborted = true
		panic(http.ErrAbortHandler)
	}
	Error(answer, http.StatusInternalServerError, text)
}

// debugs tells whether what goes well is logged: to gather the words for nobody is half of what a small answer costs.
func debugs(log logrus.FieldLogger) bool {
	if entry, is := log.(*logrus.Entry); is {
		log = entry.Logger
	}
	leveled, is := log.(interface{ IsLevelEnabled(logrus.Level) bool })
	return !is || leveled.IsLevelEnabled(logrus.DebugLevel)
}

func logRequest(log logrus.FieldLogger, r *http.Request, answer *answer, took time.Duration) {
	entry := log.WithFields(logrus.Fields{
		"method": r.Method, "path": r.URL.Path, "status": answer.sent(), "bytes": answer.bytes, "duration": took,
		"client": r.RemoteAddr,
	})
	switch {
	case answer.aborted:
		entry.Debug("request aborted")
	case answer.sent() == http.StatusServiceUnavailable: // what is away is logged by those who miss it
		entry.Info("request refused")
	case answer.sent() >= http.StatusInternalServerError:
		entry.Warn("request failed")
	default:
		entry.Debug("request")
	}
}

// answer is a http.ResponseWriter that knows what was sent and does not wait for ever on a client that does not read.
type answer struct {
	http.ResponseWriter
	controller *http.ResponseController
	conn       *gathering // nil when it is not Serve's, or shared with others
	patient    bool       // the deadline counts only while something is written
	sending    bool       // what is written goes out later, under the same deadline
	slowest    time.Duration
	extended   time.Time
	status     int // 0 until the header is sent
	bytes      int
	aborted    bool
}

// sent is the status that the client sees: a handler that sends nothing answers 200.
func (a *answer) sent() int {
	if a.status == 0 {
		return http.StatusOK
	}
	return a.status
}

// extend gives the client its time anew. It costs as much as a small write, so a client that was given it just before
// goes without.
func (a *answer) extend() {
	if now := time.Now(); now.Sub(a.extended) > a.slowest/32 {
		a.extended = now
		_ = a.controller.SetWriteDeadline(now.Add(a.slowest))
	}
}

// relax takes the deadline away where it would do harm before the next write: HTTP/2 ends a stream at its deadline even
// when nothing waits to be sent, and over TLS to read may be to write.
func (a *answer) relax() {
	if a.patient && !a.sending {
		a.extended = time.Time{}
		_ = a.controller.SetWriteDeadline(time.Time{})
	}
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK { // below are interim ones
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// piece is how much of an answer a client is given its time for, in bytes.
const piece = 64 << 10

// Write hands p over in pieces, so that a client has the time for each of them.
func (a *answer) Write(p []byte) (written int, err error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	defer a.relax()
	for {
		a.extend()
		n, err := a.ResponseWriter.Write(p[:min(len(p), piece)])
		written, a.bytes, p = written+n, a.bytes+n, p[n:]
		if err != nil || len(p) == 0 {
			return written, err
		}
	}
}

// FlushError is what http.ResponseController's Flush calls.
func (a *answer) FlushError() error {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	a.extend()
	defer a.relax()
	return a.controller.Flush()
}

// Flush is for those who know http.Flusher only.
func (a *answer) Flush() { _ = a.FlushError() }

var errBodyTooSlow = errors.New("the body did not arrive in time")

// limitedBody is a request's body that tells its reader when it is the server that has lost patience.
type limitedBody struct{ io.ReadCloser }

func (b limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errBodyTooSlow
	}
	return n, err
}
