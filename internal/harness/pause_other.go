//go:build !linux

package harness

// awaitPaused does nothing: only Linux shows the states of a process's threads.
func awaitPaused(int, <-chan struct{}) {}
