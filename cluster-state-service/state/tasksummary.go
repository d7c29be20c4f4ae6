package state

import (
	"strings"
	"sync"
	"time"
)

// TaskSummary is the part of a task that filters and reconciliations read. A cache of 100,000 tasks needs a third of
// the memory of the tasks themselves.
type TaskSummary struct {
	ARN, ClusterARN, ContainerInstanceARN, TaskDefinitionARN             string
	LastStatus, DesiredStatus, StopCode, StoppedReason                   string
	StartedBy, Group, LaunchType, CapacityProviderName, AvailabilityZone string
	// Version is that of the task.
	Version int64
	// sinceAt is the time that the filter since compares; see the methods of Task for the others.
	sinceAt, lastChangedAt, endedAt nanoseconds
	ended                           bool
}

// nanoseconds is a time since 1970; zero stands for the zero time, and for all times before 1970.
type nanoseconds int64

// lastNanosecond is in the year 2262.
const lastNanosecond = 1<<63 - 1

func toNanoseconds(at time.Time) nanoseconds {
	switch {
	case at.Unix() < 0:
		return 0
	case at.Unix() >= lastNanosecond/int64(time.Second):
		return lastNanosecond
	}
	return nanoseconds(at.UnixNano())
}

func (n nanoseconds) time() time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n)).UTC()
}

// Summary returns the summary of a task that is stored under a key. It shares the memory of the ARN with the key.
func (t *Task) Summary(key string) TaskSummary {
	s := TaskSummary{
		ARN: t.ARN, ClusterARN: t.ClusterARN, ContainerInstanceARN: t.ContainerInstanceARN,
		TaskDefinitionARN: t.TaskDefinitionARN, LastStatus: t.LastStatus, DesiredStatus: t.DesiredStatus,
		StopCode: t.StopCode, StoppedReason: t.StoppedReason, StartedBy: t.StartedBy, Group: t.Group,
		LaunchType: t.LaunchType, CapacityProviderName: t.CapacityProviderName, AvailabilityZone: t.AvailabilityZone,
		Version:       t.Version,
		sinceAt:       toNanoseconds(sinceTime(t.UpdatedAt, t.RecordedAt)),
		lastChangedAt: toNanoseconds(t.LastChanged()),
	}
	at, ended := t.EndedAt()
	s.endedAt, s.ended = toNanoseconds(at), ended
	if strings.HasSuffix(key, t.ARN) {
		s.ARN = key[len(key)-len(t.ARN):]
	}
	return s
}

// LastChanged is Task.LastChanged.
func (s TaskSummary) LastChanged() time.Time { return s.lastChangedAt.time() }

// EndedAt is Task.EndedAt.
func (s TaskSummary) EndedAt() (at time.Time, ended bool) { return s.endedAt.time(), s.ended }

// maxInterned bounds the memory of a TaskSummarizer to a few MiB.
const maxInterned = 1 << 16

// TaskSummarizer makes summaries that share the memory of equal values: tasks have few different clusters, statuses and
// task definitions. The zero value is ready for use, and is safe for concurrent use.
type TaskSummarizer struct {
	mu       sync.Mutex
	interned map[string]string
}

// Summarize returns the summary of a task that is stored under a key.
func (z *TaskSummarizer) Summarize(t *Task, key string) TaskSummary {
	s := t.Summary(key)
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, value := range []*string{
		&s.ClusterARN, &s.ContainerInstanceARN, &s.TaskDefinitionARN, &s.LastStatus, &s.DesiredStatus, &s.StopCode,
		&s.StoppedReason, &s.StartedBy, &s.Group, &s.LaunchType, &s.CapacityProviderName, &s.AvailabilityZone,
	} {
		*value = z.intern(*value)
	}
	return s
}

func (z *TaskSummarizer) intern(value string) string {
	if value == "" {
		return ""
	}
	if shared, found := z.interned[value]; found {
		return shared
	}
	if z.interned == nil || len(z.interned) == maxInterned { // the summaries keep the values that they share
		z.interned = map[string]string{}
	}
	z.interned[value] = value
	return value
}
