package reconcile

import (
	"context"
	"time"
)

// What is kept of etcd's history beside the present: it grows by some kilobytes a record and would fill etcd within
// minutes at full rate. Streams can be resumed as far back as it goes.
const (
	historySample = 10 * time.Second
	historyMost   = 300_000 // revisions, at about 4 kB each
)

// sample is etcd's revision at a time.
type sample struct {
	at       time.Time
	revision int64
}

// keepHistory compacts etcd to History ago, sooner when more than historyMost was written since, for as long as this
// replica holds the lock. With a History of 0 it is left to etcd.
func (r *Reconciler) keepHistory(ctx context.Context) {
	if r.History <= 0 {
		return
	}
	var samples []sample
	var compacted int64
	for sleep(ctx, historySample); ctx.Err() == nil; sleep(ctx, historySample) {
		snapshot, err := r.Fresh(ctx)
		if err != nil {
			continue // etcd is away; the reads say so
		}
		samples = append(samples, sample{time.Now(), snapshot.Revision})
		var until int64
		until, samples = horizon(samples, r.History)
		if until <= compacted {
			continue
		}
		if err := r.Store.Compact(ctx, until); err != nil {
			r.Log.WithError(err).WithField("revision", until).Warn("compact etcd")
			continue
		}
		compacted = until
	}
}

// horizon is the revision to compact to, 0 for none yet, and the samples that are still needed.
func horizon(samples []sample, history time.Duration) (int64, []sample) {
	newest := samples[len(samples)-1]
	old := 0
	for old < len(samples) && newest.at.Sub(samples[old].at) >= history {
		old++
	}
	until := newest.revision - historyMost
	if old > 0 {
		until = max(until, samples[old-1].revision)
		samples = samples[old-1:]
	}
	return max(until, 0), samples
}
