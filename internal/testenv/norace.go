//go:build !race

package testenv

// RaceEnabled reports whether the race detector is on. It makes everything about ten times slower.
const RaceEnabled = false
