package state

import (
	"bytes"
	"sync"

	"github.com/cespare/xxhash/v2"
)

// TaskDecoder decodes each value once, although ingest decodes it before the process stores it and the cache decodes
// it when etcd returns it. The zero value is ready for use, and is safe for concurrent use.
type TaskDecoder struct {
	mu    sync.Mutex
	kept  map[uint64]decodedTask // by the hash of the value
	order [maxKeptTasks]uint64   // the hashes of kept, in a ring
	next  int                    // index in order of the next hash, which replaces the oldest
}

// maxKeptTasks bounds the memory of a TaskDecoder to a few MiB. It is above the number of events that wait for a commit
// with the default number of pollers.
const maxKeptTasks = 1024

type decodedTask struct {
	value []byte
	task  Task
}

// Keep decodes a value that the process is about to store, and keeps the result for Take.
func (d *TaskDecoder) Keep(value []byte) (Task, error) {
	task, err := DecodeTask(value)
	if err != nil {
		return task, err
	}
	hash := xxhash.Sum64(value)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept == nil {
		d.kept = make(map[uint64]decodedTask, maxKeptTasks)
	}
	if _, again := d.kept[hash]; !again {
		delete(d.kept, d.order[d.next])
		d.order[d.next] = hash
		d.next = (d.next + 1) % maxKeptTasks
	}
	d.kept[hash] = decodedTask{value, task}
	return task, nil
}

// Take returns the task that Keep has decoded from the same value, once. It decodes any other value.
func (d *TaskDecoder) Take(value []byte) (Task, error) {
	hash := xxhash.Sum64(value)
	d.mu.Lock()
	kept, found := d.kept[hash]
	if found {
		delete(d.kept, hash)
	}
	d.mu.Unlock()
	if found && bytes.Equal(kept.value, value) {
		return kept.task, nil
	}
	return DecodeTask(value)
}
