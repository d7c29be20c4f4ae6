package planner

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// A bake time is recorded in ten steps, of a minute at least: a new leader continues from the last one.
const (
	bakeSteps       = 10
	bakeStepMinimum = time.Minute
)

// bakes reports whether the current deployment has a bake time. Rollbacks do not bake.
func bakes(f *facts) bool {
	d := f.current()
	return f.bakeTime() > 0 && d.RollbackOf == "" && d.Status != environment.Completed
}

func (f *facts) bakeTime() time.Duration {
	return f.targets.current.spec.DeploymentConfiguration.BakeTime()
}

// bake returns for how long a finished deployment has baked, as far as it is to be recorded, and when to plan again;
// zero if its tasks have run for the bake time. A task that replaced one of its own deployment restarts the bake time.
//
// Leaders measure the time by their own clocks. The time from a record of another replica, or from ECS, until now would
// be wrong by as much as the clocks differ, and the bake would be that much too short. The start times of tasks, which
// are all ECS's, are compared with each other only.
func bake(f *facts, c rolloutCount) (bakedFor time.Duration, restart, requeueAt time.Time) {
	d := f.current()
	baked := f.BakedFor
	if d.BakeStartedAt.IsZero() || c.lastRestart.After(d.BakeRestart) {
		baked = 0
	}
	step := max(f.bakeTime()/bakeSteps, bakeStepMinimum)
	bakedFor = baked.Truncate(step)
	if remaining := f.bakeTime() - baked; remaining > 0 {
		requeueAt = f.Now.Add(min(remaining, bakedFor+step-baked))
	}
	return bakedFor, c.lastRestart, requeueAt
}
