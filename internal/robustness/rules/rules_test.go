package rules

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/ecssim"
)

const (
	cluster    = "arn:aws:ecs:us-east-1:123456789012:cluster/default"
	superseded = "blox: superseded task of environment agent"
	delay      = 5 * time.Second
)

// story applies changes to a judge. Its clock advances by a second with each change.
type story struct {
	*Judge
	now   time.Time
	tasks map[string]ecssim.Task // by ARN
}

// newStory returns a story with n ACTIVE instances, i1, i2, …, on which tasks of the deployment d1 run.
func newStory(e Environment, n int) *story {
	s := &story{NewJudge(delay), time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC), map[string]ecssim.Task{}}
	e.Name, e.ClusterARN = "agent", cluster
	s.Add(e)
	for n := range n {
		s.instance(fmt.Sprintf("i%d", n+1), "ACTIVE")
	}
	for n := range n {
		s.run("d1", fmt.Sprintf("i%d", n+1))
	}
	s.wait(time.Minute)
	return s
}

func (s *story) wait(d time.Duration) { s.now = s.now.Add(d) }

func (s *story) instance(arn, status string) {
	s.wait(time.Second)
	i := ecssim.Instance{ARN: arn, ClusterARN: cluster, Status: status, AgentConnected: status != "INACTIVE"}
	s.Apply(ecssim.Change{At: s.now, Instance: &i})
}

// start creates the task of a deployment on an instance, and returns its ARN.
func (s *story) start(deployment, instance string) string {
	s.wait(time.Second)
	arn := deployment + "-" + instance
	if _, known := s.tasks[arn]; known {
		arn += "-again"
	}
	s.put(ecssim.Task{
		ARN: arn, Family: "agent", InstanceARN: instance, StartedBy: deployment, Version: 1, CreatedAt: s.now,
		TaskDefinitionARN: "agent:" + deployment, LastStatus: "PENDING", DesiredStatus: "RUNNING", HealthStatus: "UNKNOWN",
	})
	return arn
}

// run starts a task that becomes RUNNING at once.
func (s *story) run(deployment, instance string) string {
	arn := s.start(deployment, instance)
	s.change(arn, func(t *ecssim.Task) { t.LastStatus = "RUNNING" })
	return arn
}

func (s *story) change(arn string, change func(*ecssim.Task)) {
	t := s.tasks[arn]
	t.Version++
	change(&t)
	s.put(t)
}

func (s *story) put(t ecssim.Task) {
	s.tasks[t.ARN] = t
	s.Apply(ecssim.Change{At: s.now, Task: &t})
}

// stop stops a task at once, for a reason.
func (s *story) stop(arn, code, reason string) {
	s.wait(time.Second)
	s.change(arn, func(t *ecssim.Task) { t.DesiredStatus, t.StopCode, t.StoppedReason = "STOPPED", code, reason })
	s.change(arn, func(t *ecssim.Task) { t.LastStatus = "STOPPED" })
}

func (s *story) supersede(arn string) { s.stop(arn, "UserInitiated", superseded) }

func (s *story) fail(arn string) {
	s.stop(arn, "EssentialContainerExited", "Essential container in task exited")
}

// refuse refuses a start of d2.
func (s *story) refuse(instance, reason string) {
	s.wait(time.Second)
	s.Apply(ecssim.Change{At: s.now, Refusal: &ecssim.StartRefusal{
		StartedBy: "d2", InstanceARN: instance, Reason: reason,
	}})
}

// observe observes the deployments d1, d2, …, by their states.
func (s *story) observe(states ...string) {
	s.wait(time.Second)
	var all []Deployment
	for n := len(states); n > 0; n-- {
		id := fmt.Sprintf("d%d", n)
		all = append(all, Deployment{ID: id, TaskDefinition: "agent:" + id, RolloutState: states[n-1]})
	}
	s.Observe("agent", s.now, s.now, all)
}

func (s *story) promises() (all []string) {
	for _, v := range s.Violations() {
		all = append(all, v.Promise)
	}
	return all
}

func TestMinimum_CountsWhatBloxStops(t *testing.T) {
	half, whole := Environment{MinimumHealthy: 50}, Environment{MinimumHealthy: 100, StartFirst: true}
	for name, tc := range map[string]struct {
		Environment
		act        func(*story)
		violations int
	}{
		"as many as the percentage allows": {half, func(s *story) {
			s.supersede("d1-i1")
			s.supersede("d1-i2")
		}, 0},
		"one more": {half, func(s *story) {
			s.supersede("d1-i1")
			s.supersede("d1-i2")
			s.supersede("d1-i3")
		}, 1},
		"the first new task runs": {half, func(s *story) {
			s.supersede("d1-i1")
			s.supersede("d1-i2")
			s.run("d2", "i1")
			s.supersede("d1-i3")
		}, 0},
		"the first new task is starting": {half, func(s *story) {
			s.supersede("d1-i1")
			s.supersede("d1-i2")
			s.start("d2", "i1")
			s.supersede("d1-i3")
		}, 1},
		"the instance drains since": {half, func(s *story) {
			s.supersede("d1-i1")
			s.supersede("d1-i2")
			s.instance("i1", "DRAINING")
			s.supersede("d1-i3")
		}, 0},
		"drained tasks": {half, func(s *story) {
			for _, arn := range []string{"d1-i1", "d1-i2", "d1-i3"} {
				s.stop(arn, "UserInitiated", "blox: the instance is draining, environment agent")
			}
		}, 0},
		"stops by hand": {half, func(s *story) {
			for _, arn := range []string{"d1-i1", "d1-i2", "d1-i3"} {
				s.stop(arn, "UserInitiated", "Task stopped by user")
			}
		}, 0},
		"an instance has left just now": {Environment{MinimumHealthy: 60}, func(s *story) {
			s.supersede("d1-i1")
			s.instance("i5", "INACTIVE")
			s.supersede("d1-i2")
		}, 0},
		"an instance left long ago": {Environment{MinimumHealthy: 60}, func(s *story) {
			s.instance("i5", "INACTIVE")
			s.wait(time.Minute)
			s.supersede("d1-i1")
			s.supersede("d1-i2")
		}, 1},
		"a task that has just become RUNNING": {half, func(s *story) {
			s.supersede("d1-i1")
			s.supersede("d1-i2")
			s.run("d2", "i6")
			s.supersede("d2-i6")
		}, 0},
		"the same, and Blox recorded its replacement": {half, func(s *story) {
			s.supersede("d1-i1")
			s.supersede("d1-i2")
			s.run("d2", "i6")
			s.Announce("d2-i6")
			s.supersede("d2-i6")
		}, 1},
		"start first, beside a new task": {whole, func(s *story) {
			s.run("d2", "i1")
			s.supersede("d1-i1")
		}, 0},
		"start first, without a new task": {whole, func(s *story) { s.supersede("d1-i1") }, 1},
		"start first, the new task has just failed": {whole, func(s *story) {
			s.run("d2", "i1")
			s.fail("d2-i1")
			s.supersede("d1-i1")
		}, 0},
		"start first, the new task has failed long ago": {whole, func(s *story) {
			s.run("d2", "i1")
			s.fail("d2-i1")
			s.wait(time.Minute)
			s.supersede("d1-i1")
		}, 1},
		"a failure of which Blox cannot know": {half, func(s *story) {
			s.supersede("d1-i1")
			s.run("d2", "i1")
			s.fail("d1-i2")
			s.fail("d1-i3")
			s.supersede("d1-i4")
		}, 0},
		"failures of which Blox must know": {half, func(s *story) {
			s.supersede("d1-i1")
			s.run("d2", "i1")
			s.fail("d1-i2")
			s.fail("d1-i3")
			s.wait(time.Minute)
			s.supersede("d1-i4")
		}, 1},
		"failures before the rollout": {half, func(s *story) {
			s.fail("d1-i2")
			s.fail("d1-i3")
			s.wait(time.Minute)
			s.supersede("d1-i1")
			s.run("d2", "i1")
			s.supersede("d1-i4")
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			n := 5
			if tc.MinimumHealthy == 50 {
				n = 4
			}
			s := newStory(tc.Environment, n)
			if n == 4 {
				s.instance("i6", "ACTIVE") // without a task
				s.instance("i7", "DRAINING")
				s.wait(time.Minute)
			}
			tc.act(s)
			s.observe("COMPLETED", "IN_PROGRESS")
			assert.Len(t, s.promises(), tc.violations)
		})
	}
}

func TestMinimum_ForgivesWhatACompletedRolloutLeft(t *testing.T) {
	for state, violations := range map[string]int{"COMPLETED": 0, "FAILED": 1} {
		t.Run(state, func(t *testing.T) {
			s := newStory(Environment{MinimumHealthy: 50, Threshold: 1}, 4)
			s.supersede("d1-i1")
			s.supersede("d1-i2")
			s.refuse("i1", "RESOURCE:MEMORY")
			s.refuse("i2", "RESOURCE:MEMORY")
			s.supersede("d1-i3")
			s.observe("COMPLETED", state)
			assert.Len(t, s.promises(), violations, "a rollout that failed goes on with the next deployment")
		})
	}
}

func TestUndone_CompletedDeploymentsStay(t *testing.T) {
	s := newStory(Environment{MinimumHealthy: 50}, 2)
	s.observe("COMPLETED", "IN_PROGRESS")
	s.run("d1", "i1")
	s.observe("COMPLETED", "IN_PROGRESS")
	assert.Empty(t, s.promises(), "d2 has not completed")
	s.run("d2", "i1")
	s.observe("COMPLETED", "COMPLETED")
	s.run("d2", "i2")
	s.run("d3", "i2")
	s.observe("COMPLETED", "COMPLETED", "IN_PROGRESS")
	assert.Empty(t, s.promises(), "a user has deployed")
	s.start("d1", "i2")
	s.observe("COMPLETED", "COMPLETED", "IN_PROGRESS")
	assert.Equal(t, []string{PromiseUndone}, s.promises(), "a task of d1 starts")
	s.observe("COMPLETED", "IN_PROGRESS", "IN_PROGRESS")
	assert.Equal(t, []string{PromiseUndone}, s.promises(), "d2 is no longer completed")
	s.observe("COMPLETED", "IN_PROGRESS", "IN_PROGRESS")
	assert.Empty(t, s.promises(), "it is reported once")
	arn := s.start("d3", "i1")
	s.created("agent")[0].TaskDefinitionARN = "agent:d1"
	s.observe("COMPLETED", "COMPLETED", "COMPLETED")
	assert.Equal(t, []string{PromiseUndone}, s.promises(), "%s runs another task definition", arn)
}

func (s *story) created(name string) []ecssim.Task { return s.environments[name].created }

func TestBreaker_NeedsFailures(t *testing.T) {
	for name, tc := range map[string]struct {
		threshold, violations int
		act                   func(*story)
	}{
		"tasks exited, and a start was refused": {2, 0, func(s *story) {
			s.fail(s.run("d2", "i1"))
			s.refuse("i2", "RESOURCE:MEMORY")
		}},
		"too few": {2, 1, func(s *story) { s.fail(s.run("d2", "i1")) }},
		"those of another deployment": {2, 1, func(s *story) {
			s.fail("d1-i1")
			s.fail("d1-i2")
		}},
		"the permission lacks":  {1, 0, func(s *story) { s.refuse("i1", "AccessDeniedException") }},
		"credentials expired":   {1, 1, func(s *story) { s.refuse("i1", "ExpiredTokenException") }},
		"ECS throttled":         {1, 1, func(s *story) { s.refuse("i1", "ThrottlingException") }},
		"a user stopped a task": {1, 1, func(s *story) { s.stop(s.run("d2", "i1"), "UserInitiated", "by hand") }},
		"the instance left":     {1, 1, func(s *story) { s.stop(s.run("d2", "i1"), "TerminationNotice", "gone") }},
		"Spot interrupted it":   {1, 1, func(s *story) { s.stop(s.run("d2", "i1"), "SpotInterruption", "gone") }},
		"one task, twice": {2, 1, func(s *story) {
			arn := s.run("d2", "i1")
			s.change(arn, func(t *ecssim.Task) { t.HealthStatus = "UNHEALTHY" })
			s.fail(arn)
		}},
		"the circuit breaker is disabled": {0, 1, func(s *story) { s.fail(s.run("d2", "i1")) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(Environment{MinimumHealthy: 50, Threshold: tc.threshold}, 2)
			tc.act(s)
			s.observe("COMPLETED", "IN_PROGRESS")
			assert.Empty(t, s.promises())
			s.observe("COMPLETED", "FAILED")
			assert.Empty(t, s.promises(), "the changes may be older than the failure")
			s.observe("COMPLETED", "FAILED")
			assert.Len(t, s.promises(), tc.violations)
		})
	}
}
