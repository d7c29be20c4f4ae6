package logging

import (
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// The interval between two messages about a failure that persists doubles from firstInterval to longestInterval.
const (
	firstInterval   = 10 * time.Second
	longestInterval = 10 * time.Minute
)

// FailureLog logs an operation that keeps failing: when the failure starts, at growing intervals with a count, and
// when it ends. A failure that returns within the interval counts as the same one. It is safe for concurrent use.
type FailureLog struct {
	log       logrus.FieldLogger
	failed    string
	recovered string

	mu       sync.Mutex
	failures int       // since the last success
	since    time.Time // of the first of them
	logged   bool      // a message announced the failure and none its end
	interval time.Duration
	next     time.Time // no message before then
}

// NewFailureLog returns a FailureLog that logs the message failed, as a warning, and the message recovered.
func NewFailureLog(log logrus.FieldLogger, failed, recovered string) *FailureLog {
	return &FailureLog{log: log, failed: failed, recovered: recovered}
}

// Failed counts a failure of the operation and logs it if a message is due.
func (f *FailureLog) Failed(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.failures == 0 {
		f.since = now
	}
	f.failures++
	if now.Before(f.next) {
		return
	}
	if now.Sub(f.next) > f.interval {
		f.interval = firstInterval // the previous failure ended long ago
	} else {
		f.interval = min(2*f.interval, longestInterval)
	}
	f.next = now.Add(f.interval)
	f.logged = true
	entry := f.log.WithError(err)
	if f.failures > 1 {
		entry = entry.WithFields(logrus.Fields{"failures": f.failures, "since": f.since.UTC().Format(time.RFC3339)})
	}
	entry.Warn(f.failed)
}

// Succeeded ends the failure, if there is one.
func (f *FailureLog) Succeeded() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.logged {
		duration := time.Since(f.since).Round(time.Millisecond)
		f.log.WithFields(logrus.Fields{"failures": f.failures, "duration": duration}).Info(f.recovered)
	}
	f.failures = 0
	f.logged = false
}
