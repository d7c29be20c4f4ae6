package cache

import (
	"sync/atomic"

	"github.com/blox/blox/cluster-state-service/state"
)

// page is what one answer of etcd's watch changed. Pages are a linked list: subscribers hold the page that they have
// read last and wait for its successor, so that a thousand of them cost one list, and the collector takes what nobody
// needs any more.
type page struct {
	number   uint64 // counts changes, up to and including this page
	bytes    uint64 // of their lines, alike
	revision int64  // the highest of the changes; of an empty page, where the log begins
	changes  []state.Change

	next atomic.Pointer[page]
	// turned is closed soon after next is set (see rounds), or the log has ended.
	turned chan struct{}
	ended  error // set before turned is closed; why there is no next page and never will be
}

// newPage is what comes after last.
func newPage(last *page, revision int64, changes []state.Change) *page {
	p := &page{number: last.number + uint64(len(changes)), bytes: last.bytes, revision: revision, changes: changes, turned: make(chan struct{})}
	for _, c := range changes {
		p.bytes += uint64(len(c.Line))
	}
	return p
}

// isTurned tells whether those who wait for the next page have been told of it, or that there never will be one.
func (p *page) isTurned() bool {
	select {
	case <-p.turned:
		return true
	default:
		return false
	}
}

// end tells everybody who waits for the next page that there is none.
func (p *page) end(err error) {
	p.ended = err
	close(p.turned)
}
