package planner

import (
	"maps"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// requestTime returns the time of the replica that takes a user's request. Its clock may be an hour ahead or behind.
func (u *faultyFleet) requestTime() time.Time {
	return u.ecsNow().Add(time.Duration(u.IntN(7200)-3600) * time.Second)
}

// changeLeader begins the term of a replica with a clock of its own and nothing in memory. The copy may lag.
func (u *faultyFleet) changeLeader() {
	skew := time.Duration(u.IntN(240)-120) * time.Second
	if u.IntN(4) == 0 {
		skew = time.Duration(u.IntN(7200)-3600) * time.Second
	}
	u.state.Now = u.ecsNow().Add(skew)
	u.skew = skew
	u.state.StopRequestedAt = map[string]time.Time{}
	u.state.DisconnectedSince = nil
	u.state.FirstSeenAt = nil
	u.state.Availability = nil
	u.bake = measuredBake{}
	u.seen = map[string]sighted{}
	u.steps.timer = StepTimer{}
	u.logf("new leader, %s ahead", skew)
}

// sighted is a launch record and when the leader first saw it.
type sighted struct {
	launch environment.Launch
	at     time.Time
}

// observeLaunches returns the state as the leader plans with it. By its own clock, it measures how long it has seen
// launch records, and replaces times that only a clock ahead of its own can have set, as the engine does.
func (u *faultyFleet) observeLaunches() State {
	s := u.state
	s.Launches, s.FirstSeenAt = maps.Clone(s.Launches), map[string]time.Time{}
	seen := map[string]sighted{}
	for instance, launch := range u.state.Launches {
		last, known := u.seen[instance]
		if !known || last.launch.StoredVersion != launch.StoredVersion {
			last = sighted{launch, s.Now}
		}
		seen[instance] = last
		if launch.State == environment.LaunchOpen {
			s.FirstSeenAt[instance] = last.at
		}
		if launch.NotAfter.After(s.Now.Add(environment.LaunchWindow)) {
			launch.NotAfter = last.at.Add(environment.LaunchWindow)
		}
		if launch.NextAttemptAt.After(s.Now.Add(retryDelayMax)) {
			launch.NextAttemptAt = last.at.Add(retryDelayMax)
		}
		s.Launches[instance] = launch
	}
	u.seen = seen
	return s
}
