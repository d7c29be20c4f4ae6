package robustness

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/ecssim"
)

// change is what one revision of etcd did to a key.
type change struct {
	revision int64
	deleted  bool
	version  int64 // detail.version of what was put
}

// storeWatch follows everything that is written to the records of tasks and container instances, and checks it as it comes.
type storeWatch struct {
	*world

	mu       sync.Mutex
	changes  map[string][]change // by key, oldest first
	newest   map[string]change   // by ARN
	revision int64               // the latest seen
	mark     int64               // mod revision of the latest mark seen
	began    int64               // the first revision that is known
	gaps     int                 // how often a part of the history was lost
}

const (
	watched = "ecs/"
	markKey = "ecs/robustness/mark" // written by this program alone
)

func newStoreWatch(w *world) *storeWatch {
	return &storeWatch{world: w, changes: map[string][]change{}, newest: map[string]change{}, began: 1}
}

// run follows until ctx ends.
func (s *storeWatch) run(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		from := s.revision + 1
		s.mu.Unlock()
		for answer := range s.etcd.Watch(clientv3.WithRequireLeader(ctx), watched, clientv3.WithPrefix(), clientv3.WithRev(from), clientv3.WithFragment()) {
			if answer.CompactRevision > 0 {
				s.skip(answer.CompactRevision)
			}
			for _, event := range answer.Events {
				s.see(event)
			}
		}
		sleep(ctx, 100*time.Millisecond)
	}
}

// skip goes on after a compaction that was quicker: what came before is not known, and not judged.
func (s *storeWatch) skip(to int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gaps++
	s.report.count("gaps in what is known of etcd's history", 1)
	s.revision, s.began = to-1, to
	clear(s.changes)
	clear(s.newest)
}

func (s *storeWatch) see(event *clientv3.Event) {
	key := string(event.Kv.Key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision = max(s.revision, event.Kv.ModRevision)
	if key == markKey {
		s.mark = event.Kv.ModRevision
		return
	}
	arn, ok := entityOf(key)
	if !ok {
		return
	}
	c := change{revision: event.Kv.ModRevision, deleted: event.Type == clientv3.EventTypeDelete}
	if !c.deleted {
		var record struct{ Detail struct{ Version int64 } }
		if err := json.Unmarshal(event.Kv.Value, &record); err != nil {
			s.report.violated("records can be read", "%s at %d: %s", key, c.revision, err)
		}
		c.version = record.Detail.Version
	}
	before, known := s.newest[arn]
	switch {
	case strings.Contains(arn, probeAccount) || !known || c.deleted:
	case before.deleted:
		s.report.violated("what was removed stays removed", "%s at %d: version %d, after it was deleted at %d", key, c.revision, c.version, before.revision)
	case c.version < before.version:
		s.report.violated("no older version replaces a newer one", "%s at %d: version %d in place of %d", key, c.revision, c.version, before.version)
	}
	s.newest[arn] = c
	s.changes[key] = append(s.changes[key], c)
	s.report.count("records written", 1)
}

// entityOf is the ARN in the key of a task's or container instance's record.
func entityOf(key string) (arn string, ok bool) {
	for _, prefix := range []string{"ecs/task/", "ecs/instance/"} {
		if rest, found := strings.CutPrefix(key, prefix); found {
			_, arn, ok = strings.Cut(rest, "/")
			return arn, ok
		}
	}
	return "", false
}

// caughtUp returns once everything that was written before it was called has been seen.
func (s *storeWatch) caughtUp(ctx context.Context) error {
	_, err := s.marked(ctx)
	return err
}

// marked is caughtUp, and returns a revision: what was written before the call has a lower one.
func (s *storeWatch) marked(ctx context.Context) (written int64, err error) {
	err = s.await(ctx, time.Minute, "the watch of etcd", func() error {
		if written == 0 {
			short, cancel := context.WithTimeout(ctx, callTimeout)
			defer cancel()
			put, err := s.etcd.Put(short, markKey, time.Now().String())
			if err != nil {
				return err
			}
			written = put.Header.Revision
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.mark < written {
			return fmt.Errorf("it is at %d of %d", s.revision, written)
		}
		return nil
	})
	return written, err
}

// compact has etcd forget its history up to somewhere between its half and the present, as far as this watch has seen it.
func (s *storeWatch) compact(ctx context.Context, pick float64) error {
	s.mu.Lock()
	to := s.revision
	s.mu.Unlock()
	if pick < 0.5 {
		to -= int64(pick * 200)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := s.etcd.Compact(ctx, max(1, to))
	if err != nil && strings.Contains(err.Error(), "compacted") {
		return nil
	}
	return err
}

// acknowledgements checks, as they happen, that each event that was deleted from the queue is stored.
func (s *storeWatch) acknowledgements(ctx context.Context) {
	number := 0
	for sleep(ctx, 300*time.Millisecond) {
		number = s.acknowledged(ctx, number)
	}
}

// acknowledged checks those after the number, and returns the last one's.
func (s *storeWatch) acknowledged(ctx context.Context, after int) int {
	var answer struct{ Events []ecssim.Acknowledged }
	if err := s.sim.ask(ctx, "GET", "acknowledged", map[string][]string{"after": {fmt.Sprint(after)}}, nil, &answer); err != nil {
		return after
	}
	for _, e := range answer.Events {
		if e.Number > after+1 {
			s.report.count("acknowledged events that were not looked at", e.Number-after-1)
		}
		after = e.Number
		if !s.has(e) {
			s.mustHave(ctx, e)
		}
	}
	s.report.count("acknowledged events that were looked for", len(answer.Events))
	return after
}

// has tells whether the watch has seen the event's version, a newer one, or a deletion.
func (s *storeWatch) has(e ecssim.Acknowledged) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, known := s.newest[e.ARN]
	return known && (now.deleted || now.version >= e.Version)
}

// since is the first revision at which the event's version or a newer one was there, or its deletion.
func (s *storeWatch) since(e ecssim.Acknowledged) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, changes := range s.changes {
		if arn, _ := entityOf(key); arn == e.ARN {
			for _, c := range changes {
				if c.deleted || c.version >= e.Version {
					return c.revision
				}
			}
		}
	}
	return 0
}

// mustHave asks etcd itself until it answers: whatever was acknowledged has been there since before.
func (s *storeWatch) mustHave(ctx context.Context, e ecssim.Acknowledged) {
	for ctx.Err() == nil {
		mark, err := s.marked(ctx)
		if err != nil {
			continue
		}
		s.mu.Lock()
		now, known := s.newest[e.ARN], s.began == 1 // else it may have been deleted in what is not known
		s.mu.Unlock()
		if known && (!s.has(e) || s.since(e) > mark) {
			s.report.violated("no acknowledged event is lost", "%s version %d was deleted from the queue; etcd has version %d, of revision %d; what was there then is below %d", e.ARN, e.Version, now.version, now.revision, mark)
		}
		return
	}
}

// stored is a copy of what the watch knows: the present record of every key, deleted ones included.
func (s *storeWatch) stored() map[string]change {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]change{}
	for key, changes := range s.changes {
		all[key] = changes[len(changes)-1]
	}
	return all
}
