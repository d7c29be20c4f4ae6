package engine

import (
	"maps"
	"time"

	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/ecserrors"
)

const (
	// stopRequestRetention is longer than the planner waits for a StopTask to take effect.
	stopRequestRetention = 2 * time.Minute
	// unansweredStopRetry is the time until an unanswered StopTask is repeated. It doubles with each further one, up to
	// planner.StopRetryInterval.
	unansweredStopRetry = time.Second
)

// stopRequest is the last StopTask call for a task.
type stopRequest struct {
	at         time.Time
	unanswered int // calls in a row whose outcome is unknown, including this one
}

// retryAt returns when the call is to be repeated if the task still runs.
func (s stopRequest) retryAt() time.Time {
	if s.unanswered == 0 {
		return s.at.Add(planner.StopRetryInterval)
	}
	return s.at.Add(backoff.Delay(unansweredStopRetry, planner.StopRetryInterval, s.unanswered))
}

// recordStopRequest records a StopTask call. Until it is repeated, the planner counts the task as about to stop.
func (l *leaderState) recordStopRequest(name, task string, outcome ecserrors.Class) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopRequests[name] == nil {
		l.stopRequests[name] = map[string]stopRequest{}
	}
	request := stopRequest{at: time.Now()}
	if outcome == ecserrors.Unknown {
		request.unanswered = l.stopRequests[name][task].unanswered + 1
	}
	l.stopRequests[name][task] = request
}

// recentStopRequests returns, for the environment's tasks that StopTask was called for, the time that is
// planner.StopRetryInterval before the call is repeated. It forgets old calls.
func (l *leaderState) recentStopRequests(name string, now time.Time) map[string]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.stopRequests[name], func(_ string, request stopRequest) bool {
		return now.Sub(request.at) >= stopRequestRetention
	})
	if len(l.stopRequests[name]) == 0 {
		delete(l.stopRequests, name)
	}
	requestedAt := make(map[string]time.Time, len(l.stopRequests[name]))
	for task, request := range l.stopRequests[name] {
		requestedAt[task] = request.retryAt().Add(-planner.StopRetryInterval)
	}
	return requestedAt
}
