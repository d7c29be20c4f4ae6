package informer

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"sync"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/google/btree"

	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// record is one instance or task with what identifies it.
type record[R any] struct {
	cluster string // ARN
	arn     string
	version int64
	deleted bool // a line that tells of a deletion; value has the ARNs only
	value   *R
}

func before[R any](a, b *record[R]) bool {
	return cmp.Or(cmp.Compare(a.cluster, b.cluster), cmp.Compare(a.arn, b.arn)) < 0
}

// records is the copy of one kind.
type records[R any] struct {
	kind Kind
	// read checks value and finds out what identifies it; a value without entity, a heartbeat, has a version only. With an
	// error it returns as much of that as there is.
	read func(value *R) (*record[R], error)
	// marks are what the record can be found by as well.
	marks func(value *R) []mark

	mu      sync.RWMutex
	byARN   map[string]*record[R]
	ordered *btree.BTreeG[*record[R]]      // by cluster, then ARN
	marked  map[mark]map[string]*record[R] // then by ARN
	current time.Time                      // when the copy was last known to be complete; zero before the first list
	listed  time.Time                      // when it was last made by a list
	odd     int                            // records left out since the start
	oddAt   time.Time                      // when that last happened
}

func newRecords[R any](kind Kind, read func(*R) (*record[R], error), marks func(*R) []mark) *records[R] {
	c := &records[R]{kind: kind, read: read, marks: marks}
	c.clear()
	return c
}

func (c *records[R]) clear() {
	c.byARN, c.ordered, c.marked = map[string]*record[R]{}, btree.NewG(32, before[R]), map[mark]map[string]*record[R]{}
}

func (c *records[R]) add(r *record[R]) {
	c.byARN[r.arn] = r
	c.ordered.ReplaceOrInsert(r)
	for _, m := range c.marks(r.value) {
		if c.marked[m] == nil {
			c.marked[m] = map[string]*record[R]{}
		}
		c.marked[m][r.arn] = r
	}
}

func (c *records[R]) remove(r *record[R]) {
	delete(c.byARN, r.arn)
	c.ordered.Delete(r)
	for _, m := range c.marks(r.value) {
		delete(c.marked[m], r.arn)
		if len(c.marked[m]) == 0 {
			delete(c.marked, m)
		}
	}
}

func (c *records[R]) get(arn string) *R {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if r := c.byARN[arn]; r != nil {
		return r.value
	}
	return nil
}

// of is a cluster's records. The copy is not changed while they are walked.
func (c *records[R]) of(cluster string) iter.Seq[*R] {
	return func(yield func(*R) bool) {
		c.mu.RLock()
		defer c.mu.RUnlock()
		c.ordered.AscendGreaterOrEqual(&record[R]{cluster: cluster}, func(r *record[R]) bool {
			return r.cluster == cluster && yield(r.value)
		})
	}
}

// with is what has the mark, in no order.
func (c *records[R]) with(m mark) []*R {
	c.mu.RLock()
	defer c.mu.RUnlock()
	values := make([]*R, 0, len(c.marked[m]))
	for _, r := range c.marked[m] {
		values = append(values, r.value)
	}
	return values
}

func (c *records[R]) currentAt() time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.current
}

func (c *records[R]) listedAt() time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.listed
}

// confirm notes that the copy was complete at that time.
func (c *records[R]) confirm(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = at
}

// apply takes a line of a stream over unless the copy has it already, and tells whether it did.
func (c *records[R]) apply(line *record[R]) (Change, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := c.byARN[line.arn]
	if held == nil && line.deleted || held != nil && held.version >= line.version {
		return Change{}, false // a resumed stream begins with lines that were seen before
	}
	if held != nil {
		c.remove(held) // of another cluster, if its id was given again
	}
	if !line.deleted {
		c.add(line)
	}
	return c.change(line, held, false), true
}

// replace makes list, current at that time, the copy, and returns how it differs from what was there.
func (c *records[R]) replace(list []*record[R], at time.Time) (changes []Change) {
	c.mu.Lock()
	old := c.byARN
	c.clear()
	for _, r := range list {
		if twice := c.byARN[r.arn]; twice != nil {
			c.remove(twice)
		}
		c.add(r)
	}
	c.current, c.listed = at, at
	byARN := c.byARN // which only the caller changes
	c.mu.Unlock()

	for arn, r := range old {
		if byARN[arn] == nil {
			changes = append(changes, c.change(&record[R]{cluster: r.cluster, arn: arn, deleted: true}, r, true))
		}
	}
	for _, r := range list {
		if was := old[r.arn]; was == nil || was.version != r.version {
			changes = append(changes, c.change(r, was, true))
		}
	}
	return changes
}

// change is from was, nil for none, to is.
func (c *records[R]) change(is, was *record[R], relisted bool) Change {
	change := Change{ClusterARN: is.cluster, Kind: c.kind, ARN: is.arn, Deleted: is.deleted, Relisted: relisted}
	if was == nil {
		return change
	}
	switch value := any(was.value).(type) {
	case *models.Task:
		change.OldTask = value
	case *models.ContainerInstance:
		change.OldInstance = value
	}
	return change
}

// leaveOut counts an odd record, of which the copy has nothing from then on: what it held before is not true any more.
func (c *records[R]) leaveOut(r *record[R]) (Change, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.odd++
	c.oddAt = time.Now()
	held := c.byARN[r.arn]
	if held == nil || held.version >= r.version {
		return Change{}, false
	}
	c.remove(held)
	return c.change(&record[R]{cluster: held.cluster, arn: held.arn, deleted: true}, held, false), true
}

func (c *records[R]) leftOut() (n int, last time.Time) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.odd, c.oddAt
}

var errNoIdentity = errors.New("a record without ARN, cluster or version")

func readTask(t *models.Task) (*record[models.Task], error) {
	r := &record[models.Task]{value: t}
	if t.Entity != nil {
		r.cluster, r.arn = text(t.Entity.ClusterARN), text(t.Entity.TaskARN)
	}
	return r, check(r, t.Metadata, t.Entity != nil, t.Validate)
}

func readInstance(i *models.ContainerInstance) (*record[models.ContainerInstance], error) {
	r := &record[models.ContainerInstance]{value: i}
	if i.Entity != nil {
		r.cluster, r.arn = text(i.Entity.ClusterARN), text(i.Entity.ContainerInstanceARN)
	}
	return r, check(r, i.Metadata, i.Entity != nil, i.Validate)
}

// check completes r from its metadata, and sees to it that callers of the Mirror never meet a required field that is nil.
func check[R any](r *record[R], m *models.Metadata, entity bool, validate func(strfmt.Registry) error) (err error) {
	if m == nil || m.EntityVersion == nil {
		return errNoIdentity
	}
	if r.version, err = parseVersion(*m.EntityVersion); err != nil || !entity {
		return err
	}
	r.deleted = m.Deleted
	if r.cluster == "" || r.arn == "" {
		return errNoIdentity
	}
	if !r.deleted {
		return validate(strfmt.Default)
	}
	return nil
}

// mark is a property by which records can be found, and its value.
type mark struct{ property, value string }

const (
	startedBy = "startedBy"
	located   = "containerInstanceARN"
)

func taskMarks(t *models.Task) (marks []mark) {
	if t.Entity == nil {
		return nil
	}
	if by := t.Entity.StartedBy; by != "" {
		marks = append(marks, mark{startedBy, by})
	}
	if on := text(t.Entity.ContainerInstanceARN); on != "" {
		marks = append(marks, mark{located, on})
	}
	return marks
}

func instanceMarks(*models.ContainerInstance) []mark { return nil }

func parseVersion(s string) (int64, error) {
	version, err := strconv.ParseInt(s, 10, 64)
	if err != nil || version <= 0 {
		return 0, fmt.Errorf("entity version %.100q", s)
	}
	return version, nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
