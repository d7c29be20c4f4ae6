package api

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/httpstream"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// streamOptions holds a stream's query parameters. Unknown parameters are ignored, as in v0.3.
type streamOptions struct {
	from      int64 // first entity version to send; 0 starts with new changes
	cluster   state.ClusterFilter
	deleted   bool
	heartbeat time.Duration
}

// acceptsErrorLine reports whether the client knows lines that are no changes, such as a last one with an error.
// Clients of v0.3 do not.
func (o streamOptions) acceptsErrorLine() bool { return o.deleted || o.heartbeat > 0 }

func parseStreamOptions(rawQuery string) (o streamOptions, err error) {
	query, err := url.ParseQuery(rawQuery)
	if err != nil { // the malformed part may be the version, which must not count as absent
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
	var valid bool
	if o.heartbeat, valid = httpstream.ParseHeartbeat(query.Get("heartbeat")); !valid {
		return o, fmt.Errorf("%w: %.100q", state.ErrInvalidHeartbeat, query.Get("heartbeat"))
	}
	return o, nil
}

// parseVersion accepts digits only. A number beyond int64 is out of range rather than malformed.
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

// stream sends a line for every change until the client disconnects or the service stops.
func (k resource[T]) stream(w http.ResponseWriter, r *http.Request) {
	options, err := parseStreamOptions(r.URL.RawQuery)
	if err != nil {
		k.fail(w, r, err)
		return
	}
	sent := options.from // newest revision sent to the client
	err = httpstream.Serve(w, r, func(ctx context.Context) (iter.Seq2[httpstream.Line, error], error) {
		changes, err := k.cache.Watch(ctx, k.kind, options.from, options.heartbeat)
		if err != nil {
			return nil, err
		}
		if s := k.cache.Snapshot(); s != nil {
			k.setFreshness(w.Header(), s)
			if sent == 0 {
				sent = s.Revision
			}
		}
		return options.lines(changes, &sent), nil
	}, func(err error) []byte {
		if !options.acceptsErrorLine() {
			return nil
		}
		return encode(streamMessage{metadata(sent, false), err.Error()}, '\n')
	})
	if err != nil {
		k.fail(w, r, err)
	}
}

// lines encodes changes for the client, and sets sent to the revision of each.
func (o streamOptions) lines(changes iter.Seq2[cache.Change, error], sent *int64) iter.Seq2[httpstream.Line, error] {
	return func(yield func(httpstream.Line, error) bool) {
		for change, err := range changes {
			if err != nil {
				yield(httpstream.Line{}, err)
				return
			}
			*sent = max(*sent, change.Revision)
			line := httpstream.Line{Text: change.Line, More: change.More}
			switch {
			case change.Heartbeat:
				line.Text = encode(streamMessage{Metadata: metadata(change.Revision, false)}, '\n')
			case !o.wants(change):
				line.Text = nil
			}
			if !yield(line, nil) {
				return
			}
		}
	}
}

// streamMessage is a heartbeat or an error line.
type streamMessage struct {
	Metadata *models.Metadata `json:"metadata"`
	Error    string           `json:"error,omitempty"`
}

// wants reports whether the client receives the change.
func (o streamOptions) wants(c cache.Change) bool {
	return (!c.Deleted || o.deleted) && o.cluster.Matches(c.Key)
}
