// Package gcfloor makes the garbage collector run less often while a process has little live memory. The collector
// otherwise runs whenever the heap has doubled: with 10 MiB of live memory under load, dozens of times a second.
package gcfloor

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// Default is the floor of both services, in bytes.
const Default = 64 << 20

// defaultPercent is Go's own: the heap may double between two collections.
const defaultPercent = 100

// Set lets the heap grow by floor bytes between two collections, and by its own size if that is more. It adjusts the
// percentage after each collection. If the environment variable GOGC is set, Set changes nothing.
func Set(floor uint64) {
	if os.Getenv("GOGC") == "" {
		adjust(floor)
	}
}

// adjust sets the percentage for the present heap, and runs again after the next collection.
func adjust(floor uint64) {
	debug.SetGCPercent(percent(liveHeap(), floor))
	// The collector finalizes the object in each cycle, because nothing refers to it.
	runtime.SetFinalizer(&cycle{}, func(*cycle) { adjust(floor) })
}

// cycle is an object that ends with the next collection. It is too large for the allocator to share its block.
type cycle struct{ _ [32]byte }

// percent returns the growth in percent of live bytes that is floor bytes, at least Go's default.
func percent(live, floor uint64) int {
	const least = 1 << 20 // Go's smallest heap is larger
	return int(max(defaultPercent, floor*100/max(live, least)))
}

// liveHeap returns the bytes that the latest collection left.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
