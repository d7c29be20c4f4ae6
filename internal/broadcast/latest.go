package broadcast

import (
	"container/list"
	"sync"
)

// Latest holds the newest value of each key and remembers the order in which keys changed. All methods may be called
// by any goroutine.
type Latest[K comparable, V any] struct {
	mu         sync.Mutex
	entries    map[K]*list.Element
	changes    list.List // of *entry, by version
	tombstones []*list.Element
	version    int64
	cursors    map[*Cursor[K, V]]bool
}

type entry[K comparable, V any] struct {
	Update[K, V]
	version int64
}

// Update is a key that changed.
type Update[K comparable, V any] struct {
	Key     K
	Value   V    // the newest; zero if the key was deleted
	Deleted bool // the key was deleted; a later Update may set it again
}

// NewLatest returns an empty Latest.
func NewLatest[K comparable, V any]() *Latest[K, V] {
	return &Latest[K, V]{entries: map[K]*list.Element{}, cursors: map[*Cursor[K, V]]bool{}}
}

// Get returns the newest value of a key.
func (l *Latest[K, V]) Get(key K) (value V, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	element, ok := l.entries[key]
	if !ok {
		return value, false
	}
	return element.Value.(*entry[K, V]).Value, true
}

// Set stores the newest value of a key. Cursors return it even if it equals the previous one.
func (l *Latest[K, V]) Set(key K, value V) {
	l.mu.Lock()
	defer l.mu.Unlock()
	element, ok := l.entries[key]
	if !ok {
		element = l.changes.PushBack(&entry[K, V]{Update: Update[K, V]{Key: key}})
		l.entries[key] = element
	}
	element.Value.(*entry[K, V]).Value = value
	l.changed(element)
}

// Delete removes a key. Its deletion is remembered until every cursor has returned it.
func (l *Latest[K, V]) Delete(key K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	element, ok := l.entries[key]
	if !ok {
		return
	}
	delete(l.entries, key)
	element.Value.(*entry[K, V]).Update = Update[K, V]{Key: key, Deleted: true}
	l.changed(element)
	l.tombstones = append(l.tombstones, element)
	l.prune()
}

// Clear removes every key without a trace: cursors return no deletions.
func (l *Latest[K, V]) Clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.entries)
	l.changes.Init()
	l.tombstones = nil
}

func (l *Latest[K, V]) changed(element *list.Element) {
	l.version++
	element.Value.(*entry[K, V]).version = l.version
	l.changes.MoveToBack(element)
}

// prune forgets the deletions that every cursor has returned.
func (l *Latest[K, V]) prune() {
	returned := l.version
	for c := range l.cursors {
		returned = min(returned, c.version)
	}
	for len(l.tombstones) > 0 && l.tombstones[0].Value.(*entry[K, V]).version <= returned {
		l.changes.Remove(l.tombstones[0])
		l.tombstones = l.tombstones[1:]
	}
}

// Subscribe returns a cursor that has returned nothing yet.
func (l *Latest[K, V]) Subscribe() *Cursor[K, V] {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &Cursor[K, V]{latest: l}
	l.cursors[c] = true
	return c
}

// Cursor reads a Latest. It belongs to one goroutine.
type Cursor[K comparable, V any] struct {
	latest  *Latest[K, V]
	version int64 // of the newest Update returned
	begun   bool
}

// Changes returns the keys that changed since the previous call, in the order of their newest changes. The first call
// returns every key. A deleted key is returned even if the cursor has never returned its value.
func (c *Cursor[K, V]) Changes() []Update[K, V] {
	l := c.latest
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.changes.Back()
	for first != nil && first.Value.(*entry[K, V]).version > c.version {
		first = first.Prev()
	}
	if first == nil {
		first = l.changes.Front()
	} else {
		first = first.Next()
	}
	var updates []Update[K, V]
	for element := first; element != nil; element = element.Next() {
		if update := element.Value.(*entry[K, V]).Update; c.begun || !update.Deleted {
			updates = append(updates, update)
		}
	}
	c.version = l.version
	c.begun = true
	return updates
}

// Close frees the cursor. It may be called more than once.
func (c *Cursor[K, V]) Close() {
	c.latest.mu.Lock()
	defer c.latest.mu.Unlock()
	delete(c.latest.cursors, c)
	c.latest.prune()
}
