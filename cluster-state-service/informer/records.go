package informer

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/go-openapi/swag/conv"
	"github.com/google/btree"

	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// record is one instance or task and its identity.
type record[R any] struct {
	cluster string // ARN
	arn     string
	version int64
	deleted bool // a deletion; value has the ARNs only
	value   *R
	// notReconciled has, of a heartbeat, the ARNs of the clusters that the CSS has never reconciled.
	notReconciled []string
	digest        string // of a heartbeat, what the CSS holds at its version; empty if an old CSS does not send it
}

func before[R any](a, b *record[R]) bool {
	return cmp.Or(cmp.Compare(a.cluster, b.cluster), cmp.Compare(a.arn, b.arn)) < 0
}

// records is the copy of one kind, with its indexes.
type records[R any] struct {
	kind Kind
	// read validates value and returns its identity. A heartbeat has a version only. With an error, read returns the
	// parts of the identity that it found.
	read func(value *R) (*record[R], error)
	// keys returns the secondary keys of value.
	keys   func(value *R) []secondaryKey
	shared *interner // of the goroutine that decodes

	tooOld atomic.Bool // the CSS that was listed last is too old

	mu        sync.RWMutex
	byARN     map[string]*record[R]
	ordered   *btree.BTreeG[*record[R]]              // by cluster, then ARN
	byKey     map[secondaryKey]map[string]*record[R] // then by ARN
	current   time.Time                              // last time the copy equalled the CSS; zero before a list
	listed    time.Time                              // time of the last list
	skipped   int                                    // malformed records
	skippedAt time.Time                              // time of the last one
	audit     audit
	// notReconciled has the ARNs of the clusters that the CSS has never reconciled. One that ends in /* stands for every
	// cluster of its account and region.
	notReconciled map[string]bool
}

func newRecords[R any](kind Kind, read func(*R) (*record[R], error), keys func(*R) []secondaryKey) *records[R] {
	c := &records[R]{kind: kind, read: read, keys: keys, shared: newInterner()}
	c.clear()
	return c
}

func (c *records[R]) clear() {
	c.byARN = map[string]*record[R]{}
	c.ordered = btree.NewG(32, before[R])
	c.byKey = map[secondaryKey]map[string]*record[R]{}
}

// decoded is read for a value that was just decoded. Its parts become those of equal values that were decoded before.
func (c *records[R]) decoded(value *R) (*record[R], error) {
	c.shared.intern(value)
	return c.read(value)
}

func (c *records[R]) add(r *record[R]) {
	c.byARN[r.arn] = r
	c.ordered.ReplaceOrInsert(r)
	for _, key := range c.keys(r.value) {
		if c.byKey[key] == nil {
			c.byKey[key] = map[string]*record[R]{}
		}
		c.byKey[key][r.arn] = r
	}
}

func (c *records[R]) remove(r *record[R]) {
	delete(c.byARN, r.arn)
	c.ordered.Delete(r)
	for _, key := range c.keys(r.value) {
		delete(c.byKey[key], r.arn)
		if len(c.byKey[key]) == 0 {
			delete(c.byKey, key)
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

// inCluster yields a cluster's records by ARN. It holds the read lock meanwhile.
func (c *records[R]) inCluster(cluster string) iter.Seq[*R] {
	return func(yield func(*R) bool) {
		c.mu.RLock()
		defer c.mu.RUnlock()
		c.ordered.AscendGreaterOrEqual(&record[R]{cluster: cluster}, func(r *record[R]) bool {
			return r.cluster == cluster && yield(r.value)
		})
	}
}

// withKey returns the records with the secondary key, in no order.
func (c *records[R]) withKey(key secondaryKey) []*R {
	c.mu.RLock()
	defer c.mu.RUnlock()
	values := make([]*R, 0, len(c.byKey[key]))
	for _, r := range c.byKey[key] {
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

// confirm records that the copy equalled the CSS at that time.
func (c *records[R]) confirm(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = at
}

// isReconciled reports whether the CSS has reconciled the cluster with that ARN.
func (c *records[R]) isReconciled(clusterARN string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	name := strings.LastIndexByte(clusterARN, '/') + 1
	return !c.notReconciled[clusterARN] && !c.notReconciled[clusterARN[:name]+"*"]
}

// setNotReconciled replaces the clusters that the CSS has never reconciled. It returns the changes of clusters.
func (c *records[R]) setNotReconciled(clusterARNs []string) (changes []Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replaceNotReconciled(clusterARNs)
}

// replaceNotReconciled is setNotReconciled for a caller that holds the lock.
func (c *records[R]) replaceNotReconciled(clusterARNs []string) (changes []Change) {
	old := c.notReconciled
	c.notReconciled = map[string]bool{}
	for _, clusterARN := range clusterARNs {
		c.notReconciled[clusterARN] = true
		if !old[clusterARN] {
			changes = append(changes, Change{ClusterARN: clusterARN, Kind: KindCluster, ARN: clusterARN})
		}
	}
	for clusterARN := range old {
		if !c.notReconciled[clusterARN] {
			changes = append(changes, Change{ClusterARN: clusterARN, Kind: KindCluster, ARN: clusterARN})
		}
	}
	return changes
}

// apply stores a line of a stream if it is newer than the copy. It reports whether the copy changed.
func (c *records[R]) apply(line *record[R]) (Change, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := c.byARN[line.arn]
	c.audit.decoded(line.arn, line.version)
	if held == nil && line.deleted || held != nil && held.version >= line.version {
		return Change{}, false // a resumed stream begins with lines that were applied before
	}
	if held != nil {
		c.remove(held) // it may be of another cluster, if its id was reused
	}
	if !line.deleted {
		c.add(line)
	}
	return c.change(line, held, false), true
}

// replace replaces the copy by a list that was current at that time, and the clusters that the CSS has never
// reconciled. It returns the differences.
func (c *records[R]) replace(list []*record[R], at time.Time, notReconciled []string) (changes []Change) {
	c.mu.Lock()
	changes = c.replaceNotReconciled(notReconciled)
	old := c.byARN
	c.clear()
	for _, r := range list {
		if duplicate := c.byARN[r.arn]; duplicate != nil {
			c.remove(duplicate)
		}
		c.add(r)
	}
	c.current = at
	c.listed = at
	byARN := c.byARN // only the caller's goroutine changes it
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

// change describes the change from was, nil for a new record, to is.
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

// skip counts a malformed record and removes it from the copy, which holds an outdated version of it at most.
func (c *records[R]) skip(r *record[R]) (Change, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skipped++
	c.skippedAt = time.Now()
	held := c.byARN[r.arn]
	if held != nil && held.version >= r.version { // a resumed stream repeats it
		return Change{}, false
	}
	c.audit.skipped(r.arn, r.version)
	if held == nil {
		return Change{}, false
	}
	c.remove(held)
	return c.change(&record[R]{cluster: held.cluster, arn: held.arn, deleted: true}, held, false), true
}

func (c *records[R]) skippedRecords() (n int, last time.Time) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.skipped, c.skippedAt
}

var errNoIdentity = errors.New("record without ARN, cluster or version")

func readTask(t *models.Task) (*record[models.Task], error) {
	r := &record[models.Task]{value: t}
	if t.Entity != nil {
		r.cluster, r.arn = conv.Value(t.Entity.ClusterARN), conv.Value(t.Entity.TaskARN)
	}
	return r, check(r, t.Metadata, t.Entity != nil, t.Validate)
}

func readInstance(i *models.ContainerInstance) (*record[models.ContainerInstance], error) {
	r := &record[models.ContainerInstance]{value: i}
	if i.Entity != nil {
		r.cluster, r.arn = conv.Value(i.Entity.ClusterARN), conv.Value(i.Entity.ContainerInstanceARN)
	}
	return r, check(r, i.Metadata, i.Entity != nil, i.Validate)
}

// check completes r from its metadata. It rejects records without a required field, so that callers can dereference all
// of them.
func check[R any](
	r *record[R], m *models.Metadata, entity bool, validate func(strfmt.Registry) error,
) (err error) {
	if m == nil || m.EntityVersion == nil {
		return errNoIdentity
	}
	r.notReconciled, r.digest = m.NotReconciled, m.Digest
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

// secondaryKey is a field by which records can be found, and its value.
type secondaryKey struct{ field, value string }

const (
	startedByField         = "startedBy"
	containerInstanceField = "containerInstanceARN"
)

func taskKeys(t *models.Task) (keys []secondaryKey) {
	if t.Entity == nil {
		return nil
	}
	if by := t.Entity.StartedBy; by != "" {
		keys = append(keys, secondaryKey{startedByField, by})
	}
	if on := conv.Value(t.Entity.ContainerInstanceARN); on != "" {
		keys = append(keys, secondaryKey{containerInstanceField, on})
	}
	return keys
}

func instanceKeys(*models.ContainerInstance) []secondaryKey { return nil }

func parseVersion(s string) (int64, error) {
	version, err := strconv.ParseInt(s, 10, 64)
	if err != nil || version <= 0 {
		return 0, fmt.Errorf("entity version %.100q: must be a whole number above 0", s)
	}
	return version, nil
}
