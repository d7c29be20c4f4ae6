// Package status shows many readers a set of rows that changes: each gets what there is and then what has changed. What it
// costs to make the rows is paid once for all readers, while there are any, and no more than a tenth of the time.
package status

import (
	"bytes"
	"container/list"
	"context"
	"iter"
	"slices"
	"sync"
	"time"
)

const (
	pace     = 250 * time.Millisecond // between two looks at what has changed
	spared   = 10                     // a look that took long is followed by a pause of so many times that,
	mostPace = 5 * time.Second        // but of no more
	piece    = 64 << 10               // bytes of lines that are joined for one reader
)

// Row is one thing that is shown, on a line of its own.
type Row struct {
	Key string // among those of its section
	// Value, where it is not nil, can be compared, and is equal while the line is.
	Value any
	Line  func() []byte // with its newline
}

// Source is where rows come from. Its functions are called one at a time.
type Source struct {
	// Sections are all there are.
	Sections func() []string
	// Rows are a section's as it is now, in the order in which to tell of them. Without ok they stay as they were shown. An
	// error ends what all readers read.
	Rows func(section string) (rows []Row, ok bool, err error)
	// Gone is the line for a row that is no more; nil for none.
	Gone func(section, key string) []byte
	// State is the line that tells how many rows the counted sections have, and whether they are current.
	State   func(count int, current bool) []byte
	Current func() bool
	Counted func(section string) bool
	// Idle are the sections that change with time alone, looked at again after Every.
	Idle  func() []string
	Every time.Duration
}

// Board is what readers read.
type Board struct {
	source Source

	mu      sync.Mutex
	dirty   map[string]bool
	touched chan struct{} // closed at the next touch
	due     time.Time     // when the idle sections are looked at
	next    time.Time     // no look before

	making  sync.Mutex // held while rows are made, and over all below
	rows    map[string]map[string]*list.Element
	order   list.List // of *shown, by version; what is gone stays in it until every reader knows
	version int64
	current bool
	failed  error
	readers map[*reader]bool
}

type shown struct {
	section, key string
	value        any
	line         []byte // nil: gone
	version      int64
}

type reader struct {
	seen    int64
	begun   bool
	current bool
}

// New returns a board on which nothing is shown yet.
func New(source Source) *Board {
	return &Board{
		source: source, dirty: map[string]bool{}, touched: make(chan struct{}), rows: map[string]map[string]*list.Element{},
		readers: map[*reader]bool{},
	}
}

// Touch has sections looked at again soon. It does not wait.
func (b *Board) Touch(sections ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range sections {
		b.dirty[s] = true
	}
	select {
	case <-b.touched:
	default:
		close(b.touched)
	}
}

// Read yields lines, one or more at a time: every row there is and the state; then what has changed, and with a heartbeat
// above zero the state once in each such time. It goes on until ctx ends, or an error is yielded, which is the last.
func (b *Board) Read(ctx context.Context, heartbeat time.Duration) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		r := &reader{}
		b.join(r)
		defer b.leave(r)
		last := time.Now()
		for ctx.Err() == nil {
			touched, due := b.refresh()
			lines, err := b.news(r, heartbeat > 0 && time.Since(last) >= heartbeat)
			if err != nil {
				yield(nil, err)
				return
			}
			for some := range pieces(lines) {
				last = time.Now()
				if !yield(some, nil) {
					return
				}
			}
			if heartbeat > 0 && last.Add(heartbeat).Before(due) {
				due = last.Add(heartbeat)
			}
			if !b.wait(ctx, touched, due) {
				return
			}
		}
	}
}

// pieces are lines joined, not too many at once: a thousand readers that take their time would hold as many copies of all rows.
func pieces(lines [][]byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(lines) > 0 {
			n, size := 1, len(lines[0])
			for n < len(lines) && size+len(lines[n]) <= piece {
				size += len(lines[n])
				n++
			}
			if size > 0 && !yield(slices.Concat(lines[:n]...)) {
				return
			}
			lines = lines[n:]
		}
	}
}

// wait returns at due, or once the board is touched and may be looked at; false when ctx has ended.
func (b *Board) wait(ctx context.Context, touched <-chan struct{}, due time.Time) bool {
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-touched:
	}
	b.mu.Lock()
	next := b.next
	b.mu.Unlock()
	timer.Reset(time.Until(next))
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (b *Board) join(r *reader) {
	b.making.Lock()
	defer b.making.Unlock()
	if len(b.readers) == 0 { // nobody has kept the rows up to date
		b.mu.Lock()
		for _, s := range b.source.Sections() {
			b.dirty[s] = true
		}
		b.next = time.Time{}
		b.mu.Unlock()
	}
	b.readers[r] = true
}

func (b *Board) leave(r *reader) {
	b.making.Lock()
	defer b.making.Unlock()
	delete(b.readers, r)
	if len(b.readers) == 0 {
		b.order.Init()
		b.rows, b.failed = map[string]map[string]*list.Element{}, nil
	}
}

// refresh makes the rows anew of what was touched. It returns what is closed at the next touch, and when time alone is
// reason enough to come again.
func (b *Board) refresh() (touched <-chan struct{}, due time.Time) {
	b.making.Lock()
	defer b.making.Unlock()
	dirty, touched := b.take()
	if len(dirty) > 0 {
		began := time.Now()
		for section := range dirty {
			b.make(section)
		}
		b.current = b.source.Current()
		b.forget()
		b.mu.Lock()
		b.next = time.Now().Add(min(max(pace, spared*time.Since(began)), mostPace))
		b.mu.Unlock()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return touched, b.due
}

// take is what was touched and may be looked at now.
func (b *Board) take() (dirty map[string]bool, touched <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if now.Before(b.next) {
		return nil, b.touched
	}
	if !now.Before(b.due) {
		for _, s := range b.source.Idle() {
			b.dirty[s] = true
		}
		b.due = now.Add(b.source.Every)
	}
	dirty, b.dirty = b.dirty, map[string]bool{}
	select {
	case <-b.touched:
		b.touched = make(chan struct{})
	default:
	}
	return dirty, b.touched
}

// make shows a section as it is now.
func (b *Board) make(section string) {
	rows, ok, err := b.source.Rows(section)
	if err != nil {
		b.failed = err
	}
	if err != nil || !ok {
		return
	}
	held := b.rows[section]
	if held == nil {
		held = map[string]*list.Element{}
		b.rows[section] = held
	}
	there := make(map[string]bool, len(rows))
	for _, row := range rows {
		there[row.Key] = true
		b.put(section, held, row)
	}
	for key, at := range held {
		if !there[key] {
			delete(held, key)
			was := at.Value.(*shown)
			was.line = nil
			b.moved(at, was)
		}
	}
	if len(held) == 0 {
		delete(b.rows, section)
	}
}

func (b *Board) put(section string, held map[string]*list.Element, row Row) {
	at, known := held[row.Key]
	if !known {
		held[row.Key] = b.order.PushBack(&shown{section: section, key: row.Key, value: row.Value, line: row.Line()})
		b.moved(held[row.Key], held[row.Key].Value.(*shown))
		return
	}
	was := at.Value.(*shown)
	if row.Value != nil && was.value == row.Value {
		return
	}
	line := row.Line()
	was.value = row.Value
	if !bytes.Equal(line, was.line) {
		was.line = line
		b.moved(at, was)
	}
}

func (b *Board) moved(at *list.Element, row *shown) {
	b.version++
	row.version = b.version
	b.order.MoveToBack(at)
}

// forget drops what is gone and what every reader knows of.
func (b *Board) forget() {
	known := b.version
	for r := range b.readers {
		known = min(known, r.seen)
	}
	for at := b.order.Front(); at != nil; {
		row, next := at.Value.(*shown), at.Next()
		if row.version > known {
			return
		}
		if row.line == nil {
			b.order.Remove(at)
		}
		at = next
	}
}

// news is what the reader does not know yet, and the state where that is due. Lines are shared by readers, and never changed.
func (b *Board) news(r *reader, beat bool) (lines [][]byte, err error) {
	b.making.Lock()
	defer b.making.Unlock()
	if b.failed != nil {
		return nil, b.failed
	}
	from := b.order.Back()
	for from != nil && from.Value.(*shown).version > r.seen {
		from = from.Prev()
	}
	if from == nil {
		from = b.order.Front()
	} else {
		from = from.Next()
	}
	for ; from != nil; from = from.Next() {
		switch row := from.Value.(*shown); {
		case row.line != nil:
			lines = append(lines, row.line)
		case r.begun:
			lines = append(lines, b.source.Gone(row.section, row.key))
		}
	}
	r.seen = b.version
	if !r.begun || r.current != b.current || beat {
		lines = append(lines, b.source.State(b.count(), b.current))
	}
	r.begun, r.current = true, b.current
	return lines, nil
}

func (b *Board) count() (n int) {
	for section, rows := range b.rows {
		if b.source.Counted(section) {
			n += len(rows)
		}
	}
	return n
}
