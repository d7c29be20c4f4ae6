package state

import (
	"cmp"
	"iter"
	"strings"

	"github.com/google/btree"
)

// Entry is one stored entity, decoded for filters and encoded for clients. It never changes.
type Entry[T any] struct {
	Key      string // in etcd
	Entity   T
	Version  int64  // ECS's count of changes
	Revision int64  // etcd's mod revision
	Line     []byte // what clients see, in JSON, and a newline
}

// JSON is the line without its newline.
func (e *Entry[T]) JSON() []byte { return e.Line[: len(e.Line)-1 : len(e.Line)-1] }

// Index is the entries of a kind, ordered by key. Clones share what neither has changed since, so that one of them can go
// on changing while the other is read.
type Index[T any] struct {
	tree *btree.BTreeG[*Entry[T]]

	secondaryKey func(*T) string                  // nil for an index without marks
	secondary    *btree.BTreeG[secondaryEntry[T]] // by mark, then key; entries whose mark is empty are not in it
}

type secondaryEntry[T any] struct {
	mark string
	*Entry[T]
}

// NewIndex is an empty one. Entries can be found by what mark says of them too, unless mark is nil; it is for what few of
// many entries share.
func NewIndex[T any](mark func(*T) string) Index[T] {
	x := Index[T]{tree: btree.NewG(32, func(a, b *Entry[T]) bool { return a.Key < b.Key }), secondaryKey: mark}
	if mark != nil {
		x.secondary = btree.NewG(32, func(a, b secondaryEntry[T]) bool {
			return cmp.Or(cmp.Compare(a.mark, b.mark), cmp.Compare(a.Key, b.Key)) < 0
		})
	}
	return x
}

// Len is how many entries there are.
func (x Index[T]) Len() int { return x.tree.Len() }

// Get returns the entry under a key of etcd, or nil.
func (x Index[T]) Get(key string) *Entry[T] {
	found, _ := x.tree.Get(&Entry[T]{Key: key})
	return found
}

// Prefix yields the entries whose keys begin with prefix, in order.
func (x Index[T]) Prefix(prefix string) iter.Seq[*Entry[T]] { return x.After("", prefix) }

// After yields those entries of Prefix whose keys come after key.
func (x Index[T]) After(key, prefix string) iter.Seq[*Entry[T]] {
	from := seekKey(key, prefix)
	return func(yield func(*Entry[T]) bool) {
		x.tree.AscendGreaterOrEqual(&Entry[T]{Key: from}, func(e *Entry[T]) bool {
			return strings.HasPrefix(e.Key, prefix) && yield(e)
		})
	}
}

// BySecondaryKey yields those entries of After whose mark is the given one, which is not empty. The index has marks.
func (x Index[T]) BySecondaryKey(mark, key, prefix string) iter.Seq[*Entry[T]] {
	from := seekKey(key, prefix)
	return func(yield func(*Entry[T]) bool) {
		x.secondary.AscendGreaterOrEqual(secondaryEntry[T]{mark, &Entry[T]{Key: from}}, func(m secondaryEntry[T]) bool {
			return m.mark == mark && strings.HasPrefix(m.Key, prefix) && yield(m.Entry)
		})
	}
}

// seekKey is where the walk over the keys that begin with prefix and come after key begins.
func seekKey(key, prefix string) string {
	if key >= prefix && key != "" {
		return key + "\x00"
	}
	return prefix
}

// Clone is for the one who changes indexes; it takes the same time however many entries there are.
func (x Index[T]) Clone() Index[T] {
	x.tree = x.tree.Clone()
	if x.secondary != nil {
		x.secondary = x.secondary.Clone()
	}
	return x
}

// Put adds an entry, or replaces the one of its key.
func (x Index[T]) Put(e *Entry[T]) {
	old, replaced := x.tree.ReplaceOrInsert(e)
	if x.secondaryKey == nil {
		return
	}
	mark := x.secondaryKey(&e.Entity)
	if replaced && x.secondaryKey(&old.Entity) != mark {
		x.secondary.Delete(secondaryEntry[T]{x.secondaryKey(&old.Entity), old})
	}
	if mark != "" {
		x.secondary.ReplaceOrInsert(secondaryEntry[T]{mark, e})
	}
}

// Delete removes the entry under the key, if there is one.
func (x Index[T]) Delete(key string) {
	old, had := x.tree.Delete(&Entry[T]{Key: key})
	if had && x.secondaryKey != nil {
		x.secondary.Delete(secondaryEntry[T]{x.secondaryKey(&old.Entity), old})
	}
}

// NewTasks is an empty index of tasks, marked by who has started them: a scheduler asks for its own.
func NewTasks() Index[Task] { return NewIndex(func(t *Task) string { return t.StartedBy }) }

// NewInstances is an empty index of container instances.
func NewInstances() Index[Instance] { return NewIndex[Instance](nil) }
