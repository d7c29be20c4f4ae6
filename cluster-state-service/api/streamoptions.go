package api

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/httpstream"
)

// streamOptions holds a stream's query parameters. Unknown parameters are ignored, as in v0.3.
type streamOptions struct {
	from      int64 // first entity version to send; 0 starts with new changes
	snapshot  bool  // send the present entities first
	filter    state.Filter
	selective bool // filter depends on more than the cluster, so that entities may enter and leave it
	typed     bool // lines have a type
	deleted   bool
	heartbeat time.Duration
}

// acceptsErrorLine reports whether the client knows lines that are no changes, such as a last one with an error.
// Clients of v0.3 do not.
func (o streamOptions) acceptsErrorLine() bool {
	return o.deleted || o.heartbeat > 0 || o.typed || o.snapshot
}

// watchOptions returns the options of the cache. A change's type and its match depend on the entity before it.
func (o streamOptions) watchOptions() cache.WatchOptions {
	return cache.WatchOptions{
		From: o.from, Snapshot: o.snapshot, Heartbeat: o.heartbeat, Previous: o.selective || o.typed,
	}
}

// parseStreamOptions validates the entity version first, as v0.3 did.
func parseStreamOptions(kind state.Kind, filters []string, rawQuery string) (o streamOptions, err error) {
	query, err := url.ParseQuery(rawQuery)
	if err != nil { // the malformed part may be the version, which must not count as absent
		return o, fmt.Errorf("%w: %w", state.ErrInvalidVersion, err)
	}
	if given := query.Get("entityVersion"); given != "" {
		if o.from, err = parseVersion(given); err != nil {
			return o, err
		}
	}
	if err = o.parseFilter(kind, filters, query); err != nil {
		return o, err
	}
	for name, flag := range map[string]*bool{"deleted": &o.deleted, "snapshot": &o.snapshot, "type": &o.typed} {
		if *flag, err = parseFlag(name, query.Get(name)); err != nil {
			return o, err
		}
	}
	if o.snapshot && o.from > 0 {
		return o, &state.ParameterError{
			Parameter: "snapshot", Given: "true", Accepted: "false with an entityVersion, which resumes a stream",
		}
	}
	var valid bool
	given := query.Get("heartbeat")
	if o.heartbeat, valid = httpstream.ParseHeartbeat(given); !valid {
		return o, &state.ParameterError{Parameter: "heartbeat", Given: given, Accepted: "1 to 300 seconds"}
	}
	return o, nil
}

// parseFilter parses the filters of the kind; all other parameters are ignored, as in v0.3.
func (o *streamOptions) parseFilter(kind state.Kind, filters []string, query url.Values) (err error) {
	for _, name := range filters {
		if len(query[name]) > 1 {
			return fmt.Errorf("%w: %s", state.ErrRepeatedFilter, name)
		}
	}
	o.selective = isSelective(filters, query)
	o.filter, err = state.ParseFilter(kind, func(name string) string {
		if slices.Contains(filters, name) {
			return query.Get(name)
		}
		return ""
	})
	return err
}

// isSelective reports whether the filters of a query depend on more than the cluster.
func isSelective(filters []string, query url.Values) bool {
	return slices.ContainsFunc(filters, func(name string) bool { return name != "cluster" && query.Get(name) != "" })
}

// parseFlag parses a boolean parameter, which is false by default.
func parseFlag(name, given string) (bool, error) {
	switch given {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, &state.ParameterError{Parameter: name, Given: given, Accepted: "true or false"}
}

// parseVersion accepts whole numbers of digits only, up to the maximum of int64.
func parseVersion(s string) (int64, error) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%w: %.100q", state.ErrInvalidVersion, s)
		}
	}
	version, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %.100q", state.ErrInvalidVersion, s)
	}
	return version, nil
}
