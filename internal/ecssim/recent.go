package ecssim

import "sync"

// recent holds the latest numbered entries of a sequence: at least limit, at most twice as many.
type recent[T any] struct {
	mu      sync.Mutex
	limit   int
	number  int // of the latest entry; the first is 1
	entries []T
}

func newRecent[T any](limit int) *recent[T] {
	if limit <= 0 {
		return nil
	}
	return &recent[T]{limit: limit}
}

// add appends an entry. A nil recent holds none.
func (r *recent[T]) add(entry T) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.number++
	if r.entries = append(r.entries, entry); len(r.entries) > 2*r.limit {
		r.entries = append(r.entries[:0:0], r.entries[len(r.entries)-r.limit:]...)
	}
}

// after returns the entries with a higher number, oldest first, and the number of the first of them.
func (r *recent[T]) after(number int) (first int, entries []T) {
	if r == nil {
		return 0, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	first = r.number - len(r.entries) + 1
	from := min(max(0, number+1-first), len(r.entries))
	return first + from, append([]T{}, r.entries[from:]...)
}
