package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestScaleIn_ReleasesAnInstanceWithDaemonsOnly(t *testing.T) {
	l := launch(environment.LaunchStarted, time.Hour, named("t1"))
	s := scenario{
		tasks:    []environment.Task{task("t1", current, "RUNNING"), task("t2", "another", "RUNNING")},
		launches: []environment.Launch{l},
	}.state()
	s.Environment.Revisions = []environment.Revision{
		{Number: 1, Spec: environment.Spec{TaskDefinition: agent2, ScaleInAfterMinutes: 20}},
	}
	s.DrainOrders = map[string]int{current: 0, "another": 0}
	step := func(after time.Duration) []string {
		s.Now = s.Now.Add(after)
		plan := Make(s)
		for _, a := range plan.Actions {
			switch a.Kind {
			case Record:
				s.Launches["i1"] = a.Launch
			case Start:
				a.Launch.NotAfter = s.Now
				s.Launches["i1"] = StartedLaunch(a.Launch, "t9")
				s.Tasks = append(s.Tasks, task("t9", current, "RUNNING"))
			case Stop:
				s.Tasks[0] = task(a.Task, current, "STOPPED")
			}
		}
		if len(plan.Actions) == 0 {
			assert.False(t, plan.RequeueAt.IsZero(), "it looks again in time")
		}
		return texts(plan.Actions)
	}
	const note = "record i1: The scale-in state of the instance changed."
	assert.Equal(t, []string{note}, step(0))
	assert.Empty(t, step(19*time.Minute))
	assert.Equal(t, []string{note}, step(time.Minute))
	assert.Equal(t, []string{"stop t1: blox: the instance is released for scale-in, environment logs"}, step(0))
	assert.Empty(t, step(29*time.Minute), "it stays away")
	assert.Equal(t, environment.Completed, Make(s).Progress.Status, "nothing is missing")
	assert.Equal(t, environment.InstanceExcluded, Summarize(s).Instances[0].Phase)
	assert.Equal(
		t,
		[]string{"start i1: Replacing a task that stopped."},
		step(time.Minute),
		"the instance is still there, so the task comes back",
	)
	assert.Equal(t, []string{note}, step(time.Second))

	s.Launches["i1"] = withLaunch(s.Launches["i1"], func(l *environment.Launch) { l.ReleasedAt = s.Now })
	s.Tasks = append(s.Tasks, task("t5", "", "PENDING"))
	assert.Equal(t, []string{note}, step(0), "company ends it")
	assert.True(t, s.Launches["i1"].DaemonsOnlySince.IsZero())
	assert.True(t, s.Launches["i1"].ReleasedAt.IsZero())
}

// A rollback keeps the tasks of an earlier deployment beside the launch records of the one that it undoes.
func TestScaleIn_TracksKeptTasksOfOtherDeployments(t *testing.T) {
	replaced := launch(environment.LaunchReplacing, time.Hour, named("t1"), of(earlier))
	for name, launches := range map[string][]environment.Launch{
		"the replacement of the task was recorded":        {replaced},
		"a start of another deployment failed":            {launch(environment.LaunchFailed, time.Hour, of(earlier))},
		"the task of another deployment stopped":          {launch(environment.LaunchStarted, time.Hour, named("t0"), of(earlier))},
		"the record is of a deployment that is forgotten": {launch(environment.LaunchStarted, time.Hour, of(foreign))},
		"there is no record":                              nil,
	} {
		t.Run(name, func(t *testing.T) {
			s := scenario{
				tasks: []environment.Task{task("t1", current, "RUNNING"), task("t0", earlier, "STOPPED")}, launches: launches,
			}.state()
			s.Environment.Revisions = []environment.Revision{
				{Number: 1, Spec: environment.Spec{TaskDefinition: agent2, ScaleInAfterMinutes: 20}},
			}
			version := s.Launches["i1"].StoredVersion
			plan := Make(s)
			require.Equal(t, []string{"record i1: " + recordTaskFound}, texts(plan.Actions))
			assert.Equal(t, environment.Launch{
				Instance: "i1", Deployment: current, TaskDefinition: agent2, State: environment.LaunchStarted, Task: "t1",
				Attempts: 1, NotAfter: now.Add(-10 * time.Minute), StoredVersion: version,
			}, plan.Actions[0].Launch)
			s.Launches["i1"] = plan.Actions[0].Launch
			assert.Equal(t, []string{"record i1: " + recordScaleIn}, texts(Make(s).Actions))
		})
	}
}

func withLaunch(l environment.Launch, change func(*environment.Launch)) environment.Launch {
	change(&l)
	return l
}
