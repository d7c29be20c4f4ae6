package engine

import (
	"maps"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// longestLaunchDelay is the longest time from a launch record's write until its NextAttemptAt.
const longestLaunchDelay = improvementRetention

// correctSkew returns the launches without times that only a clock ahead of this replica's can have set. They would
// delay the next attempt by as much as that clock was ahead, so the delays count from when this replica first saw the
// record.
func (l *leaderState) correctSkew(
	name string, launches map[string]environment.Launch, now time.Time,
) map[string]environment.Launch {
	l.mu.Lock()
	defer l.mu.Unlock()
	skewed := sightings{}
	corrected := launches
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
		if len(skewed) == 1 {
			corrected = maps.Clone(launches)
		}
		corrected[instance] = launch
	}
	replace(l.skewed, name, skewed)
	return corrected
}
