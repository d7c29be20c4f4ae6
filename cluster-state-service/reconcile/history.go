package reconcile

import (
	"context"
	"time"
)

// What is kept of etcd's history beside the present: it grows by some kilobytes a record and would fill etcd within
// minutes at full rate. Streams can be resumed as far back as it goes.
const (
	historySample = 10 * time.Second
	historyMost   = 300_000 // records, at about 4 kB each
)

// sample is etcd's revision at a time, and how many records had been written by then.
type sample struct {
	at                time.Time
	revision, changes int64
}

// keepHistory compacts etcd to History ago, sooner when more than historyMost records were written since, for as long as this
// replica holds the lock. With a History of 0 it is left to etcd.
func (r *Reconciler) keepHistory(ctx context.Context) {
	if r.EtcdHistory <= 0 {
		return
	}
	var samples []sample
	var compacted int64
	for sleep(ctx, historySample); ctx.Err() == nil; sleep(ctx, historySample) {
		snapshot, err := r.WaitCurrent(ctx)
		if err != nil {
			continue // etcd is away; the reads say so
		}
		samples = append(samples, sample{time.Now(), snapshot.Revision, snapshot.Changes})
		var until int64
		until, samples = horizon(samples, r.EtcdHistory)
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
	dispensable := func(s sample) bool {
		return newest.at.Sub(s.at) >= history || newest.changes-s.changes >= historyMost
	}
	last := -1
	for last+1 < len(samples) && dispensable(samples[last+1]) {
		last++
	}
	if last < 0 {
		return 0, samples
	}
	return samples[last].revision, samples[last:]
}
