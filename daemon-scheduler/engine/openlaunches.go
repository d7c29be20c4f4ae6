package engine

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// openLaunch is the record of an open launch and when this replica first saw it, by its own clock. Another replica's
// clock may be ahead or behind, so the times in the record do not tell when its StartTask can no longer take effect.
type openLaunch struct {
	version     int64
	firstSeenAt time.Time
}

// recordAnnounced records that this replica announced launches at that time.
func (l *leaderState) recordAnnounced(name string, announced []environment.Launch, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.openLaunches[name] == nil {
		l.openLaunches[name] = map[string]openLaunch{}
	}
	for _, launch := range announced {
		l.openLaunches[name][launch.Instance] = openLaunch{launch.StoredVersion, at}
	}
}

// firstSeen returns when this replica first saw the environment's open launches, by instance ARN. It records those that
// are new as seen at now, and forgets those that are no longer open.
func (l *leaderState) firstSeen(
	name string, launches map[string]environment.Launch, now time.Time,
) map[string]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	open, times := map[string]openLaunch{}, map[string]time.Time{}
	for instance, launch := range launches {
		if launch.State != environment.LaunchOpen {
			continue
		}
		seen, known := l.openLaunches[name][instance]
		if !known || seen.version != launch.StoredVersion {
			seen = openLaunch{launch.StoredVersion, now}
		}
		open[instance] = seen
		times[instance] = seen.firstSeenAt
	}
	delete(l.openLaunches, name)
	if len(open) > 0 {
		l.openLaunches[name] = open
	}
	return times
}
