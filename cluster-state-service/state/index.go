package state

import (
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
type Index[T any] struct{ tree *btree.BTreeG[*Entry[T]] }

// NewIndex is an empty one.
func NewIndex[T any]() Index[T] {
	return Index[T]{btree.NewG(32, func(a, b *Entry[T]) bool { return a.Key < b.Key })}
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
	from := prefix
	if key >= from && key != "" {
		from = key + "\x00"
	}
	return func(yield func(*Entry[T]) bool) {
		x.tree.AscendGreaterOrEqual(&Entry[T]{Key: from}, func(e *Entry[T]) bool {
			return strings.HasPrefix(e.Key, prefix) && yield(e)
		})
	}
}

// Clone is for the one who changes indexes; it takes the same time however many entries there are.
func (x Index[T]) Clone() Index[T] { return Index[T]{x.tree.Clone()} }

// Put adds an entry, or replaces the one of its key.
func (x Index[T]) Put(e *Entry[T]) { x.tree.ReplaceOrInsert(e) }

// Delete removes the entry under the key, if there is one.
func (x Index[T]) Delete(key string) { x.tree.Delete(&Entry[T]{Key: key}) }
