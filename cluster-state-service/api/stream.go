package api

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// streamOptions are a stream's known query parameters; all others are ignored, as v0.3 does.
type streamOptions struct {
	from      int64
	cluster   state.ClusterFilter
	deleted   bool
	heartbeat time.Duration
}

// toldWhy tells whether the client knows of lines that are no changes, and so of one that says why the stream ends.
func (o streamOptions) toldWhy() bool { return o.deleted || o.heartbeat > 0 }

func parseStreamOptions(rawQuery string) (o streamOptions, err error) {
	query, err := url.ParseQuery(rawQuery)
	if err != nil { // what cannot be read may be the version, and must not pass for none
		return o, fmt.Errorf("%w: %w", state.ErrInvalidVersion, err)
	}
	if given := query.Get("entityVersion"); given != "" {
		if o.from, err = parseVersion(given); err != nil {
			return o, err
		}
	}
	if o.cluster, err = state.ParseClusterFilter(query.Get("cluster")); err != nil {
		return o, err
	}
	switch given := query.Get("deleted"); given {
	case "", "false":
	case "true":
		o.deleted = true
	default:
		return o, fmt.Errorf("%w: %.100q", state.ErrInvalidDeleted, given)
	}
	if given := query.Get("heartbeat"); given != "" {
		seconds, err := strconv.Atoi(given)
		if err != nil || seconds < 1 || seconds > 300 {
			return o, fmt.Errorf("%w: %.100q", state.ErrInvalidHeartbeat, given)
		}
		o.heartbeat = time.Duration(seconds) * time.Second
	}
	return o, nil
}

// parseVersion reads digits only. A number too large for etcd is in the future, not malformed.
func parseVersion(s string) (int64, error) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%w: %.100q", state.ErrInvalidVersion, s)
		}
	}
	version, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %.100q", state.ErrVersionOutOfRange, s)
	}
	return version, nil
}

// stream sends a line for every change until the client leaves or the service stops.
func (k kind[T]) stream(w http.ResponseWriter, r *http.Request) {
	options, err := parseStreamOptions(r.URL.RawQuery)
	if err != nil {
		k.fail(w, r, err)
		return
	}
	ctx, cancel := httpserver.Streaming(r)
	defer cancel()
	changes, err := k.view.Watch(ctx, k.kind, options.from, options.heartbeat)
	if err != nil {
		k.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	seen := options.from
	if s := k.view.Snapshot(); s != nil {
		k.tellFreshness(w.Header(), s)
		if seen == 0 {
			seen = s.Revision
		}
	}
	w.WriteHeader(http.StatusOK)
	if err := http.NewResponseController(w).Flush(); err != nil || r.Method == http.MethodHead {
		return
	}
	lines := lineWriter{send: func(p []byte) error { return httpserver.Send(w, p) }}
	defer lines.free()
	for change, err := range changes {
		if err != nil {
			endEarly(w, options, seen, err)
			return
		}
		seen = max(seen, change.Revision)
		line := change.Line
		switch {
		case change.Heartbeat:
			line = encode(streamMessage{Metadata: metadata(change.Revision, false)}, '\n')
		case !options.wants(change):
			line = nil
		}
		if lines.write(line, change.More) != nil {
			return
		}
	}
}

// lineWriter sends what comes at once together: a system call for each line would leave a thousand clients behind.
type lineWriter struct {
	send func([]byte) error
	held *bytes.Buffer // lines that are not sent yet; nil when there are none
}

// held buffers are few, though there may be thousands of streams.
var held = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const maxHeld = 64 << 10

// write sends a line, which may be empty, and those held before it, unless more will follow at once.
func (l *lineWriter) write(line []byte, more bool) error {
	if more && len(line) > 0 || l.held != nil {
		if l.held == nil {
			l.held = held.Get().(*bytes.Buffer)
		}
		l.held.Write(line)
		if more && l.held.Len() < maxHeld {
			return nil
		}
		line = l.held.Bytes()
	}
	if len(line) == 0 {
		return nil
	}
	defer l.free()
	return l.send(line)
}

func (l *lineWriter) free() {
	if l.held != nil {
		l.held.Reset()
		held.Put(l.held)
		l.held = nil
	}
}

// streamMessage is a line of a stream that is about the stream itself.
type streamMessage struct {
	Metadata *models.Metadata `json:"metadata"`
	Error    string           `json:"error,omitempty"`
}

func (o streamOptions) wants(c state.Change) bool {
	return (!c.Deleted || o.deleted) && o.cluster.Matches(c.Key)
}

// endEarly tells the client that more has happened than it was shown. A client of v0.3's knows changes only, so it sees
// its connection cut: a clean end would say that all is well.
func endEarly(w http.ResponseWriter, options streamOptions, seen int64, why error) {
	if !options.toldWhy() {
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(encode(streamMessage{metadata(seen, false), why.Error()}, '\n')) // the last line, or the client has left
}
