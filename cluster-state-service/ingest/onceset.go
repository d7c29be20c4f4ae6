package ingest

import (
	"hash/maphash"
	"sync"
)

// onceSetSize bounds a generation of onceSet. SQS has at most 120,000 messages of a queue in flight.
const onceSetSize = 120_000

// onceSet remembers the messages seen last, so that a message that the queue delivers again is logged once. It holds
// hashes in two generations: a message stays as long as it is seen before onceSetSize others are.
type onceSet struct {
	seed maphash.Seed

	mu            sync.Mutex
	recent, older map[uint64]struct{}
}

func newOnceSet() *onceSet { return &onceSet{seed: maphash.MakeSeed(), recent: map[uint64]struct{}{}} }

// first reports whether id is new.
func (o *onceSet) first(id string) bool {
	hash := maphash.String(o.seed, id)
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, found := o.recent[hash]; found {
		return false
	}
	_, found := o.older[hash]
	if len(o.recent) >= onceSetSize {
		o.older, o.recent = o.recent, map[uint64]struct{}{}
	}
	o.recent[hash] = struct{}{}
	return !found
}
