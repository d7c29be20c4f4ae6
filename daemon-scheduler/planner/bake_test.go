package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// baking returns a deployment with a bake time of that many minutes, whose task was started at the n-th attempt.
func baking(minutes, attempts int, change func(*environment.Deployment)) State {
	young := with(task("t1", current, "RUNNING"), func(t *environment.Task) { t.StartedAt = now.Add(-time.Minute) })
	s := scenario{
		tasks:    []environment.Task{young},
		launches: []environment.Launch{launch(environment.LaunchStarted, 2*time.Minute, named("t1"), attempt(attempts))},
	}.state()
	s.Environment.Revisions = []environment.Revision{{Number: 1, Spec: environment.Spec{
		TaskDefinition: agent2, DeploymentConfiguration: environment.DeploymentConfiguration{BakeTimeInMinutes: minutes},
	}}}
	d := s.Environment.Deployments[current]
	d.Status, d.BakeStartedAt = environment.Running, now.Add(-10*time.Minute)
	change(&d)
	s.Environment.Deployments[current] = d
	return s
}

// A task that replaced a stopped one restarts the bake time; a task on an instance that joined does not.
func TestBake_RestartsWithAReplacedTask(t *testing.T) {
	replacedAt := now.Add(-time.Minute)
	for name, tc := range map[string]struct {
		attempts int
		restart  time.Time // as recorded
		want     environment.Status
	}{
		"of an instance that joined":          {1, time.Time{}, environment.Completed},
		"that replaced one":                   {2, time.Time{}, environment.Running},
		"that replaced one later than before": {2, replacedAt.Add(-time.Second), environment.Running},
		"that has restarted it already":       {2, replacedAt, environment.Completed},
	} {
		t.Run(name, func(t *testing.T) {
			s := baking(10, tc.attempts, func(d *environment.Deployment) { d.BakeRestart = tc.restart })
			s.BakedFor = 10 * time.Minute
			plan := Make(s)
			assert.Equal(t, tc.want, plan.Progress.Status)
			if tc.want == environment.Running {
				assert.Equal(t, replacedAt, plan.Progress.BakeRestart)
				assert.Zero(t, plan.Progress.BakedFor)
				next, changed := s.Environment.RecordProgress(current, plan.Progress, now)
				assert.True(t, changed)
				assert.Equal(t, replacedAt, next.Deployments[current].BakeRestart)
			}
		})
	}
}

// The record was written by a replica whose clock was far ahead or behind. Only measured time counts.
func TestBake_CountsOnlyTheTimeThatLeadersHaveMeasured(t *testing.T) {
	for name, startedAt := range map[string]time.Time{
		"a clock an hour ahead": now.Add(time.Hour), "a clock an hour behind": now.Add(-time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			s := baking(20, 1, func(d *environment.Deployment) { d.BakeStartedAt = startedAt })
			plan := Make(s)
			assert.Equal(t, environment.Running, plan.Progress.Status)
			assert.Equal(t, now.Add(2*time.Minute), plan.RequeueAt, "a tenth of it is recorded")

			s.BakedFor = 5 * time.Minute
			plan = Make(s)
			assert.Equal(t, 4*time.Minute, plan.Progress.BakedFor)
			assert.Equal(t, now.Add(time.Minute), plan.RequeueAt)
			next, changed := s.Environment.RecordProgress(current, plan.Progress, now)
			assert.True(t, changed)
			assert.Equal(t, 240, next.Deployments[current].BakedSeconds)
			_, changed = next.RecordProgress(current, plan.Progress, now)
			assert.False(t, changed)

			s.BakedFor = 20 * time.Minute
			assert.Equal(t, environment.Completed, Make(s).Progress.Status)
		})
	}
}
