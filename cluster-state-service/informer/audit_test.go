package informer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/digest"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

type taskModel = models.Task

// copyOf returns a copy of a record with another id and version.
func copyOf(r *record[taskModel], id string, version int64) *record[taskModel] {
	copied := *r
	copied.arn, copied.version = taskARN(id), version
	value, entity := *r.value, *r.value.Entity
	entity.TaskARN, value.Entity = &copied.arn, &entity
	copied.value = &value
	return &copied
}

// audited returns a heartbeat with the digest of tasks, given by id and version.
func audited(version int, tasks map[string]int64) string {
	var sum digest.Sum
	for id, version := range tasks {
		sum.Add(taskARN(id), version)
	}
	return fmt.Sprintf(`{"metadata":{"entityVersion":"%d","digest":%q}}`, version, sum)
}

// repeat sends a line until the client leaves.
func repeat(line string) func(stream) {
	return func(s stream) {
		for s.left.Err() == nil {
			repeatOnce(s, line)
		}
	}
}

func repeatOnce(s stream, line string) {
	s.send(line)
	select {
	case <-time.After(5 * time.Millisecond):
	case <-s.left.Done():
	}
}

// awaitHeartbeats waits until the Informer has handled n heartbeats, each of which it compares.
func awaitHeartbeats(t *testing.T, m *Informer, n int) {
	t.Helper()
	for range n {
		before := m.tasks.currentAt()
		testenv.Eventually(t, func() bool { return m.tasks.currentAt().After(before) })
	}
}

// held returns the version of each task of the copy, by id.
func held(m *Informer) map[string]int64 {
	m.tasks.mu.RLock()
	defer m.tasks.mu.RUnlock()
	versions := map[string]int64{}
	for arn, r := range m.tasks.byARN {
		versions[strings.TrimPrefix(arn, taskARN(""))] = r.version
	}
	return versions
}

func TestInformer_RepairsACopyThatDiffers(t *testing.T) {
	right := map[string]int64{"a": 7, "b": 9}
	for name, corrupt := range map[string]func(c *records[taskModel]){
		"lacks a task":         func(c *records[taskModel]) { c.remove(c.byARN[taskARN("a")]) },
		"holds a deleted task": func(c *records[taskModel]) { c.add(copyOf(c.byARN[taskARN("a")], "z", 7)) },
		"holds an old task":    func(c *records[taskModel]) { c.add(copyOf(c.byARN[taskARN("a")], "a", 6)) },
		"swapped two versions": func(c *records[taskModel]) {
			a, b := c.byARN[taskARN("a")], c.byARN[taskARN("b")]
			c.add(copyOf(a, "a", 9))
			c.add(copyOf(b, "b", 7))
		},
	} {
		t.Run(name, func(t *testing.T) {
			service := newCSS(t, []string{listed(10, task("a", 7), task("b", 9))}, repeat(audited(10, right)))
			m, _ := run(t, service)
			awaitHeartbeats(t, m, 3)
			n, _ := m.Differences()
			require.Zero(t, n, "the copy is right")
			m.tasks.mu.Lock()
			corrupt(m.tasks)
			m.tasks.mu.Unlock()
			testenv.Eventually(t, func() bool { n, _ := m.Differences(); return n > 0 }, "the difference is not found")
			testenv.Eventually(t, func() bool { return assert.ObjectsAreEqual(right, held(m)) }, "it is not repaired")
			awaitHeartbeats(t, m, 3)
			n, at := m.Differences()
			assert.Equal(t, 1, n)
			assert.WithinDuration(t, time.Now(), at, time.Minute)
			service.requestsAre(t, "list", "10", "list", "10")
		})
	}
}

// Before this release, a CSS sent no digest.
func TestInformer_FollowsACSSWithoutDigests(t *testing.T) {
	service := newCSS(t, []string{listed(10, task("a", 7))}, repeat(heartbeat(10)))
	m, _ := run(t, service)
	awaitHeartbeats(t, m, 5)
	n, _ := m.Differences()
	assert.Zero(t, n)
	service.requestsAre(t, "list", "10")
}

// A record that the copy lacks because it is malformed is no difference.
func TestInformer_CountsMalformedRecordsInTheDigest(t *testing.T) {
	malformed := func(id string, version int) string {
		return strings.Replace(task(id, version), `"lastStatus":"RUNNING",`, "", 1)
	}
	service := newCSS(t, []string{listed(10, task("a", 7), malformed("b", 9))}, func(s stream) {
		for range 3 {
			repeatOnce(s, audited(10, map[string]int64{"a": 7, "b": 9}))
		}
		s.send(malformed("a", 11))
		for range 3 {
			repeatOnce(s, audited(11, map[string]int64{"a": 11, "b": 9}))
		}
		s.send(task("a", 12), deleted("b", 13))
		repeat(audited(13, map[string]int64{"a": 12}))(s)
	})
	m, _ := run(t, service)
	testenv.Eventually(t, func() bool { return held(m)["a"] == 12 })
	awaitHeartbeats(t, m, 3)
	n, _ := m.Differences()
	assert.Zero(t, n)
	service.requestsAre(t, "list", "10")
}

// Without the identity of a malformed record, nothing can be compared until the next list.
func TestInformer_ComparesNothingAfterARecordWithoutIdentity(t *testing.T) {
	service := newCSS(t, []string{listed(10, task("a", 7), `{"metadata":{"entityVersion":"9"}}`)},
		repeat(audited(10, map[string]int64{"a": 7, "b": 9})))
	m, _ := run(t, service)
	testenv.Eventually(t, m.Synced)
	awaitHeartbeats(t, m, 5)
	n, _ := m.Differences()
	assert.Zero(t, n)
	service.requestsAre(t, "list", "10")
}
