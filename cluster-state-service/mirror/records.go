package mirror

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
	// read checks value and finds out what identifies it; a value without entity, a heartbeat, has a version only.
	read func(value *R) (*record[R], error)

	mu      sync.RWMutex
	byARN   map[string]*record[R]
	ordered *btree.BTreeG[*record[R]] // by cluster, then ARN
	current time.Time                 // when the copy was last known to be complete; zero before the first list
	listed  time.Time                 // when it was last made by a list
}

func newRecords[R any](kind Kind, read func(*R) (*record[R], error)) *records[R] {
	return &records[R]{
		kind: kind, read: read, byARN: map[string]*record[R]{}, ordered: btree.NewG(32, before[R]),
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
	switch {
	case held == nil && line.deleted, held != nil && held.version >= line.version:
		return Change{}, false // a resumed stream begins with lines that were seen before
	case line.deleted:
		c.ordered.Delete(held)
		delete(c.byARN, line.arn)
	default:
		if held != nil {
			c.ordered.Delete(held) // of another cluster, if its id was given again
		}
		c.byARN[line.arn] = line
		c.ordered.ReplaceOrInsert(line)
	}
	return c.change(line, line.deleted, false), true
}

// replace makes list, current at that time, the copy, and returns how it differs from what was there.
func (c *records[R]) replace(list []*record[R], at time.Time) (changes []Change) {
	byARN, ordered := make(map[string]*record[R], len(list)), btree.NewG(32, before[R])
	for _, r := range list {
		byARN[r.arn] = r
		ordered.ReplaceOrInsert(r)
	}
	c.mu.Lock()
	old := c.byARN
	c.byARN, c.ordered, c.current, c.listed = byARN, ordered, at, at
	c.mu.Unlock()

	for arn, r := range old {
		if byARN[arn] == nil {
			changes = append(changes, c.change(r, true, true))
		}
	}
	for _, r := range list {
		if was := old[r.arn]; was == nil || was.version != r.version {
			changes = append(changes, c.change(r, false, true))
		}
	}
	return changes
}

func (c *records[R]) change(r *record[R], deleted, relisted bool) Change {
	return Change{ClusterARN: r.cluster, Kind: c.kind, ARN: r.arn, Deleted: deleted, Relisted: relisted}
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
