package planner

import (
	"flag"
	"iter"
	"testing"
)

var (
	seedCount = flag.Uint64("seeds", 0, "`number` of random scenarios of each property test; 0: each test's own")
	firstSeed = flag.Uint64("first-seed", 0, "seed of the first random scenario")
)

// seeds yields the seeds of n random scenarios, or of a tenth of them with -short. -seeds and -first-seed overrule it.
func seeds(n uint64) iter.Seq[uint64] {
	if testing.Short() {
		n = max(1, n/10)
	}
	if *seedCount > 0 {
		n = *seedCount
	}
	return func(yield func(uint64) bool) {
		for seed := *firstSeed; seed < *firstSeed+n; seed++ {
			if !yield(seed) {
				return
			}
		}
	}
}
