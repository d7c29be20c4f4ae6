package cache

import (
	"cmp"
	"iter"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/google/btree"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/digest"
)

// btreeDegree balances the cost of a copy-on-write update against that of a walk.
const btreeDegree = 32

// Entry is one stored entity, decoded for filters and encoded for clients. It is immutable.
type Entry[T any] struct {
	Key      string // in etcd
	Entity   T      // see Codec.Summarize
	Version  int64  // ECS's version of the entity
	Revision int64  // etcd's mod revision
	Line     []byte // the entity as clients see it, in JSON, and a newline
}

// JSON returns the line without its newline.
func (e *Entry[T]) JSON() []byte { return e.Line[: len(e.Line)-1 : len(e.Line)-1] }

// arn returns the ARN in the key.
func (e *Entry[T]) arn() string {
	key, _ := state.ParseKey(e.Key) // the index holds keys of entities only
	return key.ARN
}

// Digest identifies the content of the line.
func (e *Entry[T]) Digest() uint64 { return xxhash.Sum64(e.Line) }

// Index holds the entries of a kind, ordered by key. Clones share all unchanged nodes (copy-on-write), so that one
// clone can change while others are read.
type Index[T any] struct {
	tree *btree.BTreeG[*Entry[T]]

	secondaryKey func(*T) string // nil without a secondary index
	// secondary is ordered by secondary key, then key. It lacks entries without a secondary key.
	secondary *btree.BTreeG[secondaryEntry[T]]
	sums      *sums
}

// sums depend neither on the order of the entries nor on that of their changes.
type sums struct {
	content  uint64     // sum of the digests of all entries
	versions digest.Sum // of ARNs and mod revisions
}

type secondaryEntry[T any] struct {
	secondaryKey string
	*Entry[T]
}

// NewIndex returns an empty index. Unless secondaryKey is nil, entries can also be found by the value that it
// returns. A secondary index pays off when few of many entries share a value.
func NewIndex[T any](secondaryKey func(*T) string) Index[T] {
	x := Index[T]{
		tree:         btree.NewG(btreeDegree, func(a, b *Entry[T]) bool { return a.Key < b.Key }),
		secondaryKey: secondaryKey,
		sums:         &sums{},
	}
	if secondaryKey != nil {
		x.secondary = btree.NewG(btreeDegree, func(a, b secondaryEntry[T]) bool {
			return cmp.Or(cmp.Compare(a.secondaryKey, b.secondaryKey), cmp.Compare(a.Key, b.Key)) < 0
		})
	}
	return x
}

// NewTasks returns an empty index of tasks with startedBy as the secondary key: a scheduler queries its own tasks.
func NewTasks() Index[state.TaskSummary] {
	return NewIndex(func(t *state.TaskSummary) string { return t.StartedBy })
}

// NewInstances returns an empty index of container instances with the EC2 instance's ID as the secondary key.
func NewInstances() Index[state.Instance] {
	return NewIndex(func(i *state.Instance) string { return i.EC2InstanceID })
}

// Digest identifies the content of the index, its versions included. Equal indexes of all replicas have equal digests.
func (x Index[T]) Digest() uint64 { return x.sums.content }

// Versions identifies the entries by their ARNs and mod revisions, which clients know.
func (x Index[T]) Versions() digest.Sum { return x.sums.versions }

// Len returns the number of entries.
func (x Index[T]) Len() int { return x.tree.Len() }

// Get returns the entry under a key, or nil.
func (x Index[T]) Get(key string) *Entry[T] {
	entry, _ := x.tree.Get(&Entry[T]{Key: key})
	return entry
}

// Prefix yields the entries whose keys begin with prefix, in order.
func (x Index[T]) Prefix(prefix string) iter.Seq[*Entry[T]] { return x.After("", prefix) }

// After yields the entries whose keys begin with prefix and are greater than key, in order.
func (x Index[T]) After(key, prefix string) iter.Seq[*Entry[T]] {
	from := seekKey(key, prefix)
	return func(yield func(*Entry[T]) bool) {
		x.tree.AscendGreaterOrEqual(&Entry[T]{Key: from}, func(e *Entry[T]) bool {
			return strings.HasPrefix(e.Key, prefix) && yield(e)
		})
	}
}

// BySecondaryKey yields the entries of After that have the secondary key, which must not be empty.
func (x Index[T]) BySecondaryKey(secondaryKey, key, prefix string) iter.Seq[*Entry[T]] {
	from := seekKey(key, prefix)
	return func(yield func(*Entry[T]) bool) {
		pivot := secondaryEntry[T]{secondaryKey, &Entry[T]{Key: from}}
		x.secondary.AscendGreaterOrEqual(pivot, func(e secondaryEntry[T]) bool {
			return e.secondaryKey == secondaryKey && strings.HasPrefix(e.Key, prefix) && yield(e.Entry)
		})
	}
}

// seekKey returns the first possible key that begins with prefix and is greater than key.
func seekKey(key, prefix string) string {
	if key >= prefix && key != "" {
		return key + "\x00"
	}
	return prefix
}

// Clone returns a copy, in constant time.
func (x Index[T]) Clone() Index[T] {
	x.tree = x.tree.Clone()
	copied := *x.sums
	x.sums = &copied
	if x.secondary != nil {
		x.secondary = x.secondary.Clone()
	}
	return x
}

// Put adds an entry, or replaces that with the same key and returns it.
func (x Index[T]) Put(e *Entry[T]) (old *Entry[T]) {
	old, replaced := x.tree.ReplaceOrInsert(e)
	x.sums.content += e.Digest()
	x.sums.versions.Add(e.arn(), e.Revision)
	if replaced {
		x.forget(old)
	}
	if x.secondaryKey == nil {
		return old
	}
	secondaryKey := x.secondaryKey(&e.Entity)
	if replaced {
		if oldKey := x.secondaryKey(&old.Entity); oldKey != secondaryKey {
			x.secondary.Delete(secondaryEntry[T]{oldKey, old})
		}
	}
	if secondaryKey != "" {
		x.secondary.ReplaceOrInsert(secondaryEntry[T]{secondaryKey, e})
	}
	return old
}

// forget subtracts an entry from the sums.
func (x Index[T]) forget(old *Entry[T]) {
	x.sums.content -= old.Digest()
	x.sums.versions.Remove(old.arn(), old.Revision)
}

// Delete removes the entry under the key, if there is one, and returns it.
func (x Index[T]) Delete(key string) (old *Entry[T]) {
	old, deleted := x.tree.Delete(&Entry[T]{Key: key})
	if deleted {
		x.forget(old)
	}
	if deleted && x.secondaryKey != nil {
		x.secondary.Delete(secondaryEntry[T]{x.secondaryKey(&old.Entity), old})
	}
	return old
}
