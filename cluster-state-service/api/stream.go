package api

import (
	"context"
	"iter"
	"net/http"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/httpstream"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// stream sends a line for every change until the client disconnects or the service stops.
func (k resource[T]) stream(w http.ResponseWriter, r *http.Request) {
	options, err := parseStreamOptions(k.kind, k.filters, r.URL.RawQuery)
	if err != nil {
		k.fail(w, r, err)
		return
	}
	sent := options.from // newest revision sent to the client
	err = httpstream.Serve(w, r, func(ctx context.Context) (iter.Seq2[httpstream.Line, error], error) {
		if options.snapshot { // an incomplete state must not count as in sync
			if _, err := k.reconciledSnapshot(ctx, options.filter.Cluster, 0); err != nil {
				return nil, err
			}
		}
		changes, err := k.cache.Watch(ctx, k.kind, options.watchOptions())
		if err != nil {
			return nil, err
		}
		if s := k.cache.Snapshot(); s != nil {
			k.setFreshness(w.Header(), s)
			if sent == 0 && !options.snapshot {
				sent = s.Revision
			}
		}
		return k.lines(options, changes, &sent), nil
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
func (k resource[T]) lines(
	o streamOptions, changes iter.Seq2[cache.Change, error], sent *int64,
) iter.Seq2[httpstream.Line, error] {
	return func(yield func(httpstream.Line, error) bool) {
		for change, err := range changes {
			if err != nil {
				yield(httpstream.Line{}, err)
				return
			}
			if !change.Initial { // a client cannot resume before it is in sync
				*sent = max(*sent, change.Revision)
			}
			if !yield(k.line(&o, change), nil) {
				return
			}
		}
	}
}

// line returns the line of a change; its Text is empty if the client receives none.
func (k resource[T]) line(o *streamOptions, change cache.Change) httpstream.Line {
	line := httpstream.Line{More: change.More}
	if change.Heartbeat || change.InSync {
		m := metadata(change.Revision, false)
		m.InSync, m.NotReconciled = change.InSync, change.NotReconciled
		if !o.selective && o.filter.Cluster == (state.ClusterFilter{}) { // it is of all entities
			m.Digest = change.Digest
		}
		line.Text = encode(streamMessage{Metadata: m}, '\n')
		return line
	}
	kind := k.changeType(&o.filter, o.selective, change)
	switch {
	case kind == "" || kind == deleted && !o.deleted && !o.typed:
		return line
	case kind == deleted && !change.Deleted: // it left the filter
		line.Text = encode(deletion(change.Key, change.Revision), '\n')
	default:
		line.Text = change.Line
	}
	if o.typed {
		line.Prefix, line.Text = typePrefixes[kind], line.Text[1:]
	}
	return line
}

// streamMessage is a heartbeat, the mark after a snapshot or an error line.
type streamMessage struct {
	Metadata *models.Metadata `json:"metadata"`
	Error    string           `json:"error,omitempty"`
}
