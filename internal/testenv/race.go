//go:build race

package testenv

// Race tells whether the race detector is on, which makes everything some ten times slower.
const Race = true
