package engine

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// sighting is a version of a launch record and when this replica first saw it, by its own clock. The times in a record
// are those of the replica that wrote it, whose clock may be ahead or behind.
type sighting struct {
	version int64
	at      time.Time
}

// sightings are the launch records of one environment that this replica has seen, by instance ARN.
type sightings map[string]sighting

// of returns when this replica first saw the launch's record: now, if it has not seen that version before.
func (s sightings) of(launch environment.Launch, now time.Time) sighting {
	if seen, known := s[launch.Instance]; known && seen.version == launch.StoredVersion {
		return seen
	}
	return sighting{launch.StoredVersion, now}
}

// replace replaces the sightings of an environment. It keeps nothing of an environment without any.
func replace(all map[string]sightings, name string, next sightings) {
	delete(all, name)
	if len(next) > 0 {
		all[name] = next
	}
}
