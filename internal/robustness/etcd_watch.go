package robustness

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/harness"
)

// Keys of cluster-state-service's records.
const (
	recordPrefix   = "ecs/"
	taskPrefix     = "ecs/task/"
	instancePrefix = "ecs/instance/"
	markerKey      = "ecs/robustness/marker" // written by this program alone
)

// change is the effect of one etcd revision on a key.
type change struct {
	revision int64
	deleted  bool
	version  int64 // detail.version of the record; 0 if deleted
	fromECS  bool  // the record is ECS's response, not an event
	excused  bool  // the record was deleted while its cluster did not exist
}

// etcdWatch watches every write to the records of tasks and container instances, and checks it.
type etcdWatch struct {
	*system

	mu            sync.Mutex
	changes       map[string][]change // by key, oldest first
	newest        map[string]change   // by ARN
	revision      int64               // latest received
	marker        int64               // mod revision of the latest marker received
	firstRevision int64               // changes before it are unknown
	onLaunch      func(value []byte)  // receives every write to a launch record; nil for none
	recreations   recreations
}

func newEtcdWatch(s *system) *etcdWatch {
	return &etcdWatch{system: s, changes: map[string][]change{}, newest: map[string]change{}, firstRevision: 1,
		recreations: recreations{endedAt: map[string]time.Time{}},
	}
}

// run watches until ctx ends.
func (w *etcdWatch) run(ctx context.Context) {
	for ctx.Err() == nil {
		w.mu.Lock()
		next := w.revision + 1
		w.mu.Unlock()
		responses := w.etcd.Watch(clientv3.WithRequireLeader(ctx), recordPrefix,
			clientv3.WithPrefix(), clientv3.WithRev(next), clientv3.WithFragment())
		for response := range responses {
			if response.CompactRevision > 0 {
				w.skipTo(response.CompactRevision)
			}
			for _, event := range response.Events {
				w.receive(event)
			}
		}
		backoff.Sleep(ctx, 100*time.Millisecond)
	}
}

// skipTo continues after a compaction of revisions that were not received. They are unknown and not checked.
func (w *etcdWatch) skipTo(compacted int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history.count("etcd compactions ahead of the watch", 1)
	w.revision = compacted - 1
	w.firstRevision = compacted
	clear(w.changes)
	clear(w.newest)
}

func (w *etcdWatch) receive(event *clientv3.Event) {
	key := string(event.Kv.Key)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.revision = max(w.revision, event.Kv.ModRevision)
	if key == markerKey {
		w.marker = event.Kv.ModRevision
		return
	}
	if w.onLaunch != nil && isLaunch(key) {
		w.onLaunch(event.Kv.Value)
	}
	arn, ok := entityARN(key)
	if !ok {
		return
	}
	c := change{revision: event.Kv.ModRevision, deleted: event.Type == clientv3.EventTypeDelete}
	if !c.deleted {
		var record struct {
			ID     string
			Detail struct{ Version int64 }
		}
		if err := json.Unmarshal(event.Kv.Value, &record); err != nil {
			w.history.violation("records are valid JSON", "%s at %d: %s", key, c.revision, err)
		}
		c.version, c.fromECS = record.Detail.Version, record.ID == ""
	}
	c.excused = c.deleted && w.recreations.cover(arn, time.Now())
	w.checkOrder(key, arn, c)
	w.newest[arn] = c
	w.changes[key] = append(w.changes[key], c)
	w.history.count("records written", 1)
}

// checkOrder checks that a record is not replaced by an older version, and not written again after its deletion. Only
// ECS itself may bring back the stopped tasks of a cluster that was deleted and created anew.
func (w *etcdWatch) checkOrder(key, arn string, c change) {
	before, known := w.newest[arn]
	switch {
	case strings.Contains(arn, probeAccount) || !known || c.deleted:
	case before.deleted && before.excused && c.fromECS:
		w.history.count("records that returned with their cluster", 1)
	case before.deleted:
		w.history.violation("a deleted record stays deleted", "%s at %d: version %d, after its deletion at %d",
			key, c.revision, c.version, before.revision)
	case c.version < before.version:
		w.history.violation("no older version replaces a newer one", "%s at %d: version %d replaces %d",
			key, c.revision, c.version, before.version)
	}
}

// entityARN returns the ARN in the key of a task's or container instance's record.
func entityARN(key string) (arn string, ok bool) {
	for _, prefix := range []string{taskPrefix, instancePrefix} {
		if rest, found := strings.CutPrefix(key, prefix); found {
			_, arn, ok = strings.Cut(rest, "/")
			return arn, ok
		}
	}
	return "", false
}

// awaitCurrent returns when every write that finished before the call has been received. Those writes have lower
// revisions than the one it returns.
func (w *etcdWatch) awaitCurrent(ctx context.Context) (revision int64, err error) {
	err = harness.Await(ctx, time.Minute, "the etcd watch", func() error {
		if revision == 0 {
			short, cancel := context.WithTimeout(ctx, requestTimeout)
			defer cancel()
			put, err := w.etcd.Put(short, markerKey, time.Now().String())
			if err != nil {
				return err
			}
			revision = put.Header.Revision
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.marker < revision {
			return fmt.Errorf("revision %d received of %d", w.revision, revision)
		}
		return nil
	})
	return revision, err
}

// compact compacts etcd's history. Below 0.5, pick selects a revision shortly before the latest one received.
func (w *etcdWatch) compact(ctx context.Context, pick float64) error {
	w.mu.Lock()
	revision := w.revision
	w.mu.Unlock()
	if pick < 0.5 {
		revision -= int64(pick * 200)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := w.etcd.Compact(ctx, max(1, revision))
	if err != nil && strings.Contains(err.Error(), "compacted") {
		return nil
	}
	return err
}

// checkAcknowledged checks, while they happen, that each event deleted from the queue of a place is stored.
func (w *etcdWatch) checkAcknowledged(ctx context.Context, p place) {
	number := 0
	for backoff.Sleep(ctx, 300*time.Millisecond) {
		number = w.checkAcknowledgedAfter(ctx, w.sim.in(p), number)
	}
}

// checkAcknowledgedAfter checks the events after the number and returns the last one's number.
func (w *etcdWatch) checkAcknowledgedAfter(ctx context.Context, sim *simulator, number int) int {
	var acknowledged struct{ Events []ecssim.Acknowledged }
	query := url.Values{"after": {fmt.Sprint(number)}}
	if err := sim.call(ctx, http.MethodGet, "acknowledged", query, nil, &acknowledged); err != nil {
		return number
	}
	for _, e := range acknowledged.Events {
		if e.Number > number+1 {
			w.history.count("acknowledged events not checked", e.Number-number-1)
		}
		number = e.Number
		if !w.contains(e) && !w.isOutdated(ctx, sim, e) {
			w.checkStored(ctx, e)
		}
	}
	w.history.count("acknowledged events checked", len(acknowledged.Events))
	return number
}

// outdatedAge is the age from which on cluster-state-service drops an event of an entity that ECS does not know.
const outdatedAge = 5 * time.Minute

// isOutdated reports whether the event is so old that it may be dropped, because ECS does not know its entity.
func (w *etcdWatch) isOutdated(ctx context.Context, sim *simulator, e ecssim.Acknowledged) bool {
	if time.Since(e.Time) < outdatedAge {
		return false
	}
	for ctx.Err() == nil {
		state, err := sim.clusterState(ctx, clusterOf(e.ARN))
		if err != nil {
			backoff.Sleep(ctx, 100*time.Millisecond)
			continue
		}
		w.history.count("acknowledged events older than the verification's limit", 1)
		return !knows(state, e.ARN)
	}
	return true
}

// knows reports whether ECS describes a task or container instance.
func knows(state ecssim.State, entityARN string) bool {
	return slices.ContainsFunc(state.Tasks, func(t ecssim.Task) bool { return t.ARN == entityARN }) ||
		slices.ContainsFunc(state.Instances, func(i ecssim.Instance) bool {
			return i.ARN == entityARN && i.Status != "INACTIVE"
		})
}

// contains reports whether the watch has received the event's version, a newer one, or a deletion.
func (w *etcdWatch) contains(e ecssim.Acknowledged) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	newest, known := w.newest[e.ARN]
	return known && (newest.deleted || newest.version >= e.Version)
}

// storedAt returns the first revision with the event's version, a newer one, or a deletion; 0 if there is none.
func (w *etcdWatch) storedAt(e ecssim.Acknowledged) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, changes := range w.changes {
		if arn, _ := entityARN(key); arn != e.ARN {
			continue
		}
		for _, c := range changes {
			if c.deleted || c.version >= e.Version {
				return c.revision
			}
		}
	}
	return 0
}

// checkStored checks against etcd itself, and retries until etcd answers. An acknowledged event was stored before the
// call.
func (w *etcdWatch) checkStored(ctx context.Context, e ecssim.Acknowledged) {
	for ctx.Err() == nil {
		now, err := w.awaitCurrent(ctx)
		if err != nil {
			continue
		}
		w.mu.Lock()
		newest, complete := w.newest[e.ARN], w.firstRevision == 1 // else it may have been deleted unnoticed
		w.mu.Unlock()
		if complete && (!w.contains(e) || w.storedAt(e) > now) {
			w.history.violation("no acknowledged event is lost",
				"%s version %d was deleted from the queue before revision %d; etcd has version %d of revision %d",
				e.ARN, e.Version, now, newest.version, newest.revision)
		}
		return
	}
}

// snapshot returns the latest change of every key, including deletions.
func (w *etcdWatch) snapshot() map[string]change {
	w.mu.Lock()
	defer w.mu.Unlock()
	latest := map[string]change{}
	for key, changes := range w.changes {
		latest[key] = changes[len(changes)-1]
	}
	return latest
}
