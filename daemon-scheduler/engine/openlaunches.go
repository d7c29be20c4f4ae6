package engine

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// recordAnnounced records that this replica announced launches at that time.
func (l *leaderState) recordAnnounced(name string, announced []environment.Launch, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.openLaunches[name] == nil {
		l.openLaunches[name] = sightings{}
	}
	for _, launch := range announced {
		l.openLaunches[name][launch.Instance] = sighting{launch.StoredVersion, at}
	}
}

// firstSeen returns when this replica first saw the environment's open launches, by instance ARN. It records those that
// are new as seen at now, and forgets those that are no longer open. It shows when their StartTask can no longer take
// effect, whatever the clock of the replica that called it says.
func (l *leaderState) firstSeen(
	name string, launches map[string]environment.Launch, now time.Time,
) map[string]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	open, times := sightings{}, map[string]time.Time{}
	for instance, launch := range launches {
		if launch.State != environment.LaunchOpen {
			continue
		}
		seen := l.openLaunches[name].of(launch, now)
		open[instance] = seen
		times[instance] = seen.at
	}
	replace(l.openLaunches, name, open)
	return times
}
