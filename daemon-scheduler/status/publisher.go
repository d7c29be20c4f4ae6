package status

import (
	"bytes"
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/blox/blox/internal/broadcast"
)

const (
	refreshInterval    = 250 * time.Millisecond // least time between two refreshes
	refreshCostFactor  = 10                     // a refresh is followed by a pause of as many times its duration,
	maxRefreshInterval = 5 * time.Second        // but of no more
	maxChunk           = 64 << 10               // bytes of lines that are joined for one reader
)

// row is one item of a stream.
type row struct {
	key string // unique within its section
	// value is comparable and determines the line; nil if there is no such value.
	value any
	line  func() []byte // encodes the row, with its newline
}

// source computes the rows of a publisher, which calls its functions one at a time.
type source struct {
	sections func() []string // computed in the order of their names
	// rows returns a section's present rows, in the order in which readers get them. If ok is false, the rows stay as
	// they are. An error ends all readers.
	rows        func(section string) (rows []row, ok bool, err error)
	deletedLine func(section, key string) []byte // nil for none
	stateLine   func(count int, current bool) []byte
	current     func() bool
	counted     func(section string) bool // reports whether stateLine's count includes the section
	// periodic returns the sections that change without an invalidation. They are computed once per period.
	periodic func() []string
	period   time.Duration
	// activated is called when the first reader comes; nil for none.
	activated func()
}

type rowKey struct{ section, key string }

// publisher sends rows to any number of readers: first all rows, then changed rows. It computes the rows once for
// all readers, only while there are readers, and spends a tenth of the time on it at most.
type publisher struct {
	source source

	mu          sync.Mutex
	invalid     map[string]bool // sections
	invalidated chan struct{}   // closed by the next invalidation
	periodicDue time.Time
	nextRefresh time.Time // no refresh before

	refreshMu sync.Mutex // held while rows are computed or read; guards the fields below
	lines     *broadcast.Latest[rowKey, []byte]
	values    map[string]map[string]any // by section and key
	current   bool
	err       error
	readers   int
}

func newPublisher(source source) *publisher {
	return &publisher{
		source:      source,
		invalid:     map[string]bool{},
		invalidated: make(chan struct{}),
		lines:       broadcast.NewLatest[rowKey, []byte](),
		values:      map[string]map[string]any{},
	}
}

// Invalidate makes sections be computed again soon. It does not block.
func (p *publisher) Invalidate(sections ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, section := range sections {
		p.invalid[section] = true
	}
	select {
	case <-p.invalidated:
	default:
		close(p.invalidated)
	}
}

// active reports whether there are readers.
func (p *publisher) active() bool {
	p.refreshMu.Lock()
	defer p.refreshMu.Unlock()
	return p.readers > 0
}

// reader is one reader of a publisher.
type reader struct {
	cursor  *broadcast.Cursor[rowKey, []byte]
	begun   bool
	current bool // as the reader knows
}

// Read yields lines, one or more at a time: all rows and the state, then changes. If heartbeat is above zero, it
// also yields the state once in each such time. It ends when ctx ends or after an error.
func (p *publisher) Read(ctx context.Context, heartbeat time.Duration) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		r := p.join()
		defer p.leave(r)
		sent := time.Now()
		for ctx.Err() == nil {
			invalidated, due := p.refresh()
			lines, err := p.delta(r, heartbeat > 0 && time.Since(sent) >= heartbeat)
			if err != nil {
				yield(nil, err)
				return
			}
			for chunk := range chunks(lines) {
				sent = time.Now()
				if !yield(chunk, nil) {
					return
				}
			}
			if heartbeat > 0 && sent.Add(heartbeat).Before(due) {
				due = sent.Add(heartbeat)
			}
			if !p.wait(ctx, invalidated, due) {
				return
			}
		}
	}
}

// chunks joins lines, but not too many at once: a thousand slow readers would hold as many copies of all rows.
func chunks(lines [][]byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(lines) > 0 {
			n, size := 1, len(lines[0])
			for n < len(lines) && size+len(lines[n]) <= maxChunk {
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

// wait returns at due, or after an invalidation as soon as a refresh is allowed. It reports false if ctx has ended.
func (p *publisher) wait(ctx context.Context, invalidated <-chan struct{}, due time.Time) bool {
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-invalidated:
	}
	p.mu.Lock()
	next := p.nextRefresh
	p.mu.Unlock()
	timer.Reset(time.Until(next))
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// join adds a reader. The first one finds no rows, as without readers they are not kept up to date.
func (p *publisher) join() *reader {
	p.refreshMu.Lock()
	defer p.refreshMu.Unlock()
	if p.readers == 0 {
		p.mu.Lock()
		for _, section := range p.source.sections() {
			p.invalid[section] = true
		}
		p.nextRefresh = time.Time{}
		p.mu.Unlock()
		if p.source.activated != nil {
			p.source.activated()
		}
	}
	p.readers++
	return &reader{cursor: p.lines.Subscribe()}
}

func (p *publisher) leave(r *reader) {
	p.refreshMu.Lock()
	defer p.refreshMu.Unlock()
	r.cursor.Close()
	p.readers--
	if p.readers == 0 {
		p.lines.Clear()
		clear(p.values)
		p.err = nil
	}
}

// refresh computes the invalid sections. It returns a channel that the next invalidation closes, and the time at which
// the periodic sections are due.
func (p *publisher) refresh() (invalidated <-chan struct{}, due time.Time) {
	p.refreshMu.Lock()
	defer p.refreshMu.Unlock()
	sections, invalidated := p.takeInvalid()
	if len(sections) > 0 {
		start := time.Now()
		for _, section := range slices.Sorted(maps.Keys(sections)) {
			p.compute(section)
		}
		p.current = p.source.current()
		pause := min(max(refreshInterval, refreshCostFactor*time.Since(start)), maxRefreshInterval)
		p.mu.Lock()
		p.nextRefresh = time.Now().Add(pause)
		p.mu.Unlock()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return invalidated, p.periodicDue
}

// takeInvalid returns the sections to compute now; none before the next refresh is allowed.
func (p *publisher) takeInvalid() (sections map[string]bool, invalidated <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Before(p.nextRefresh) {
		return nil, p.invalidated
	}
	if !now.Before(p.periodicDue) {
		for _, section := range p.source.periodic() {
			p.invalid[section] = true
		}
		p.periodicDue = now.Add(p.source.period)
	}
	sections = p.invalid
	p.invalid = map[string]bool{}
	select {
	case <-p.invalidated:
		p.invalidated = make(chan struct{})
	default:
	}
	return sections, p.invalidated
}

// compute publishes how a section has changed.
func (p *publisher) compute(section string) {
	rows, ok, err := p.source.rows(section)
	if err != nil {
		p.err = err
	}
	if err != nil || !ok {
		return
	}
	values := p.values[section]
	if values == nil {
		values = map[string]any{}
		p.values[section] = values
	}
	present := make(map[string]bool, len(rows))
	for _, row := range rows {
		present[row.key] = true
		p.put(section, values, row)
	}
	for key := range values {
		if !present[key] {
			delete(values, key)
			p.lines.Delete(rowKey{section, key})
		}
	}
	if len(values) == 0 {
		delete(p.values, section)
	}
}

func (p *publisher) put(section string, values map[string]any, row row) {
	former, known := values[row.key]
	if known && row.value != nil && former == row.value {
		return
	}
	values[row.key] = row.value
	key, line := rowKey{section, row.key}, row.line()
	if known {
		if published, ok := p.lines.Get(key); ok && bytes.Equal(line, published) {
			return
		}
	}
	p.lines.Set(key, line)
}

// delta returns the rows that the reader has not received, and the state if it has changed or a heartbeat is due.
// Readers share the lines, so nothing may change them.
func (p *publisher) delta(r *reader, heartbeat bool) (lines [][]byte, err error) {
	p.refreshMu.Lock()
	defer p.refreshMu.Unlock()
	if p.err != nil {
		return nil, p.err
	}
	for _, update := range r.cursor.Changes() {
		line := update.Value
		if update.Deleted {
			line = p.source.deletedLine(update.Key.section, update.Key.key)
		}
		lines = append(lines, line)
	}
	if !r.begun || r.current != p.current || heartbeat {
		lines = append(lines, p.source.stateLine(p.count(), p.current))
	}
	r.begun = true
	r.current = p.current
	return lines, nil
}

func (p *publisher) count() (n int) {
	for section, values := range p.values {
		if p.source.counted(section) {
			n += len(values)
		}
	}
	return n
}
