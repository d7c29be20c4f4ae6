package harness

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// pausedOrEnded matches the states of threads that run no longer: T (stopped), Z (zombie) and X (dead).
var pausedOrEnded = regexp.MustCompile("^ [TZX]")

// awaitPaused returns when every thread of the process is in state T (stopped) or the process has ended. The kernel
// delivers SIGSTOP to one thread at a time, so the other threads run on for a moment after kill(2) has returned.
func awaitPaused(pid int, done <-chan struct{}) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !allThreadsPaused(pid) {
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}

// allThreadsPaused is also true when no thread is left.
func allThreadsPaused(pid int) bool {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		// The state follows the command's name, which stands in parentheses and may contain any character.
		state := stat[bytes.LastIndexByte(stat, ')')+1:]
		if !pausedOrEnded.Match(state) {
			return false
		}
	}
	return true
}
