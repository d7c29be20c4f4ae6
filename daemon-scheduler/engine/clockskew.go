package engine

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// longestLaunchDelay is the longest time from a launch record's write until its NextAttemptAt.
const longestLaunchDelay = improvementRetention

// correctSkew replaces times in launches that only a clock ahead of this replica's can have set. They would delay the
// next attempt by as much as that clock was ahead, so the delays count from when this replica first saw the record.
func (l *leaderState) correctSkew(name string, launches map[string]environment.Launch, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	skewed := sightings{}
	for instance, launch := range launches {
		lateEnd := launch.NotAfter.After(now.Add(environment.LaunchWindow))
		lateRetry := launch.NextAttemptAt.After(now.Add(longestLaunchDelay))
		if !lateEnd && !lateRetry {
			continue
		}
		seen := l.skewed[name].of(launch, now)
		skewed[instance] = seen
		if lateEnd {
			launch.NotAfter = seen.at.Add(environment.LaunchWindow).UTC().Round(0)
		}
		if lateRetry {
			launch.NextAttemptAt = seen.at.Add(longestLaunchDelay).UTC().Round(0)
		}
		launches[instance] = launch
	}
	replace(l.skewed, name, skewed)
}
