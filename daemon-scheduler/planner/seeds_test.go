package planner

import "testing"

// seeds returns n, or a tenth of it with -short.
func seeds(n uint64) uint64 {
	if testing.Short() {
		return max(1, n/10)
	}
	return n
}
