// Command clockreader prints its clocks until it is killed. It is a part of testclock's test.
package main

import (
	"fmt"
	"time"
)

func main() {
	started, latest := time.Now(), time.Duration(0)
	for {
		now := time.Now()
		monotonic := now.Sub(started)
		backward := min(0, monotonic-latest, time.Since(now))
		latest = monotonic
		// The time at which this process began by its wall clock, less what the monotonic clock missed.
		fmt.Printf("reading %d %d\n", now.Add(-monotonic).UnixNano(), backward)
		time.Sleep(2 * time.Millisecond)
	}
}
