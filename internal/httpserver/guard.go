package httpserver

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/sirupsen/logrus"
)

// guard protects next, the server and other clients from a single request. It bounds the size and time of bodies and
// the time that clients take for responses, contains panics, rejects changes from other sites' pages and unauthorized
// requests, and logs requests.
func guard(next http.Handler, log logrus.FieldLogger, s settings) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		assignID(w, r)
		controller := http.NewResponseController(w)
		res := &response{ResponseWriter: w, controller: controller, writeTimeout: s.writeTimeout, overTLS: r.TLS != nil}
		if r.ProtoMajor == 1 {
			res.conn, _ = r.Context().Value(connectionKey{}).(*bufferedConn)
		}
		defer res.extendDeadline() // net/http sends the rest of the response, and the next request needs a new deadline
		defer func() {
			took := time.Since(started)
			s.observe(r, res.statusCode(), took)
			if res.statusCode() >= http.StatusInternalServerError || changes(r.Method) || debugEnabled(log) {
				logRequest(log, r, res, took)
			}
		}()
		defer recoverPanic(log, r, res, s.panicText)

		if crossOrigin(r) {
			Error(res, r, Problem{Status: http.StatusForbidden, Code: CodeCrossOrigin, Detail: crossOriginText})
			return
		}
		var authorized bool
		if r, authorized = s.authorize(res, r); !authorized {
			return
		}
		if r.ContentLength > maxBody {
			if r.ProtoMajor == 1 {
				w.Header().Set("Connection", "close") // so that net/http does not read the whole body
			}
			Error(res, r, problemTooLarge)
			return
		}
		if r.Body != http.NoBody {
			res.extendDeadline() // for 100 Continue
			limited := *r
			limited.Body = limitedBody{http.MaxBytesReader(w, r.Body, maxBody)}
			r = &limited
		}
		next.ServeHTTP(res, r)
		if errors.Is(context.Cause(r.Context()), errAborted) {
			// The handler may have stopped early, and the client must not take that for a complete response.
			panic(http.ErrAbortHandler)
		}
	})
}

// recoverPanic ends a request whose handler panicked: with 500 if nothing has been sent, else by an aborted response.
func recoverPanic(log logrus.FieldLogger, r *http.Request, res *response, text string) {
	failure := recover()
	if failure == nil {
		return
	}
	if failure == any(http.ErrAbortHandler) { // intended by the handler
		res.aborted = true
		panic(failure)
	}
	RequestLog(log, r).WithFields(logrus.Fields{
		"method": r.Method, "path": r.URL.Path, "panic": failure, "stack": string(debug.Stack()),
	}).Error("request panicked")
	if res.status != 0 {
		res.aborted = true
		panic(http.ErrAbortHandler)
	}
	Error(res, r, internalError(text))
}

// debugEnabled reports whether successful requests are logged. Collecting the fields of a line that is dropped would be
// half the cost of a small response.
func debugEnabled(log logrus.FieldLogger) bool {
	if entry, ok := log.(*logrus.Entry); ok {
		log = entry.Logger
	}
	leveled, ok := log.(interface{ IsLevelEnabled(logrus.Level) bool })
	return !ok || leveled.IsLevelEnabled(logrus.DebugLevel)
}

func logRequest(log logrus.FieldLogger, r *http.Request, res *response, took time.Duration) {
	entry := RequestLog(log, r).WithFields(logrus.Fields{
		"method": r.Method, "path": r.URL.Path, "status": res.statusCode(), "bytes": res.bytes, "duration": took,
	})
	switch {
	case res.aborted && changes(r.Method):
		entry.Info("request aborted")
	case res.aborted:
		entry.Debug("request aborted")
	case res.statusCode() == http.StatusServiceUnavailable && r.URL.Path == ReadyPath: // probes repeat
		entry.Debug("service not ready")
	case res.statusCode() == http.StatusServiceUnavailable: // the component that misses a dependency logs that itself
		entry.Info("request rejected")
	case res.statusCode() >= http.StatusInternalServerError:
		entry.Warn("request failed")
	case changes(r.Method):
		entry.Info("request served")
	default:
		entry.Debug("request served")
	}
}

var errBodyTooSlow = errors.New("the body did not arrive in time")

// limitedBody is a request's body that returns errBodyTooSlow once the body timeout has passed.
type limitedBody struct{ io.ReadCloser }

func (b limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errBodyTooSlow
	}
	return n, err
}
