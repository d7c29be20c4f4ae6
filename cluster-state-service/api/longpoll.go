package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/httpserver"
)

const (
	// maxWaiters bounds the lists that wait for a change: each occupies a connection and a subscription.
	maxWaiters = 1000
	// Bounds of wait.
	minWait = time.Second
	maxWait = 5 * time.Minute
)

// parseWait parses wait, a duration, and the entityVersion that it requires.
func parseWait(query url.Values) (wait time.Duration, version int64, err error) {
	given := query.Get("wait")
	switch {
	case given == "" && query.Get("entityVersion") == "":
		return 0, 0, nil
	case given == "": // as in v0.3, whose lists have no such parameter
		return 0, 0, fmt.Errorf("%w: entityVersion without wait", state.ErrUnsupportedFilter)
	}
	if wait, err = time.ParseDuration(given); err != nil || wait < minWait || wait > maxWait {
		return 0, 0, &state.ParameterError{Parameter: "wait", Given: given, Accepted: "1s to 5m"}
	}
	if query.Get("entityVersion") == "" {
		return 0, 0, &state.ParameterError{Parameter: "wait", Given: given, Accepted: "used with entityVersion"}
	}
	version, err = parseVersion(query.Get("entityVersion"))
	return wait, version, err
}

// waitChange waits until an entity of the list changes after q.version, and returns the state then. It returns the
// latest state when q.wait has passed or the service stops. s is the present state.
func (k resource[T]) waitChange(r *http.Request, q listQuery, s *cache.Snapshot) (*cache.Snapshot, error) {
	if q.version > s.Revision {
		return nil, fmt.Errorf("%w: %d", state.ErrVersionOutOfRange, q.version)
	}
	select {
	case k.waiters <- struct{}{}:
		defer func() { <-k.waiters }()
	default:
		return nil, state.ErrTooManyWaiters
	}
	ctx, cancel := httpserver.StreamContext(r)
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, q.wait)
	defer stop()
	return k.cache.WaitChange(ctx, k.kind, q.version, func(c cache.Change) bool {
		return k.changeType(&q.filter, q.selective, c) != ""
	})
}
