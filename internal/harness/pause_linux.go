package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

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
		_, state, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
		if !strings.HasPrefix(state, "T") && !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X") {
			return false
		}
	}
	return true
}
