package state

import (
	"encoding/json"
	"strings"
	"time"
)

// Beside the entities, etcd holds a few facts about the service itself under these prefixes.
const (
	// ComparisonPrefix is followed by <account>/<region>; the value is a Comparison.
	ComparisonPrefix = Root + "reconciled/"
	// LockPrefix is that of the election of the replica that compares with ECS.
	LockPrefix = Root + "lock/reconcile/"
)

// Comparison is the last complete comparison with ECS in an account and region.
type Comparison struct {
	StartedAt  time.Time `json:"startedAt"`
	FinishedAt time.Time `json:"finishedAt"`
}

// Fact is the value of one of those keys.
type Fact struct {
	Value    string
	Revision int64      // etcd's create revision
	Compared Comparison // what Value says under ComparisonPrefix
}

// NewFact reads a value; one that cannot be read says nothing.
func NewFact(key, value string, revision int64) Fact {
	f := Fact{Value: value, Revision: revision}
	if strings.HasPrefix(key, ComparisonPrefix) && json.Unmarshal([]byte(value), &f.Compared) != nil {
		f.Compared = Comparison{}
	}
	return f
}

// IsFact tells whether a key of etcd is that of a Fact.
func IsFact(key string) bool {
	return strings.HasPrefix(key, ComparisonPrefix) || strings.HasPrefix(key, LockPrefix)
}

// Snapshot is the state at one revision of etcd. It never changes.
type Snapshot struct {
	// Revision is etcd's; all changes up to it are in, and none after it.
	Revision  int64
	Tasks     Index[Task]
	Instances Index[Instance]
	Facts     map[string]Fact // by key
	// Changes counts the keys of Blox's that were written since the service began to watch.
	Changes int64
}

// Compared is the last complete comparison with ECS in the region; zero when none ever was.
func (s *Snapshot) Compared(region string) Comparison {
	var latest Comparison
	for key, fact := range s.Facts {
		if !strings.HasPrefix(key, ComparisonPrefix) || !strings.HasSuffix(key, "/"+region) {
			continue
		}
		if fact.Compared.FinishedAt.After(latest.FinishedAt) {
			latest = fact.Compared
		}
	}
	return latest
}

// Leader is the replica that compares with ECS, by the name it gave; empty when there is none.
func (s *Snapshot) Leader() string {
	var first Fact
	for key, fact := range s.Facts {
		if strings.HasPrefix(key, LockPrefix) && (first.Revision == 0 || fact.Revision < first.Revision) {
			first = fact
		}
	}
	return first.Value
}

// Known is what is stored under a key, as of the snapshot.
func (s *Snapshot) Known(key Key) Known {
	if key.Kind == KindInstance {
		return known(s.Instances.Get(key.String()))
	}
	return known(s.Tasks.Get(key.String()))
}

func known[T any](e *Entry[T]) Known {
	if e == nil {
		return Known{}
	}
	return Known{Version: e.Version, Revision: e.Revision}
}

// Change is one line of a stream.
type Change struct {
	Key      Key
	Revision int64  // etcd's; several changes may share one
	Line     []byte // one JSON value and a newline, shared by all who read it: not to be changed
	Deleted  bool
	// More says that another follows at once, so that this one's line need not be sent by itself.
	More bool
	// Heartbeat changes tell only that all up to Revision has been shown; Line is nil.
	Heartbeat bool
}
