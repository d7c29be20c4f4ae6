package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestNotMatching_StopsTasksAndForgetsLaunches(t *testing.T) {
	const stopT1 = "stop t1: blox: the instance does not match environment logs"
	out := []environment.Instance{in("b", active("i1"))}
	for name, tc := range map[string]scenario{
		"get no task": {instances: out},
		"lose their task": {
			instances: out, tasks: []environment.Task{task("t1", current, "RUNNING")}, want: []string{stopT1},
			requeueIn: time.Minute,
		},
		"lose an earlier deployment's task": {
			instances: out, tasks: []environment.Task{task("t1", earlier, "RUNNING")}, want: []string{stopT1},
			requeueIn: time.Minute,
		},
		"keep the tasks of others": {instances: out, tasks: []environment.Task{task("t1", foreign, "RUNNING")}},
		"are not stopped twice": {
			instances: out, tasks: []environment.Task{with(task("t1", current, "RUNNING"), stopping)},
		},
		"lose nothing while the cluster state is stale": {
			instances: out, tasks: []environment.Task{task("t1", current, "RUNNING")}, stale: true, requeueIn: time.Second,
		},
		"lose nothing while the agent is disconnected": {
			instances: []environment.Instance{in("b", environment.Instance{ARN: "i1", Status: "ACTIVE"})},
			tasks:     []environment.Task{task("t1", current, "RUNNING")},
		},
		"have not failed": {
			instances: out,
			launches:  []environment.Launch{launch(environment.LaunchFailed, time.Minute, because("AGENT", time.Minute))},
			want:      []string{"forget i1: The instance does not match the instance group."},
		},
		"are occupied by an open launch": {
			instances: out, launches: []environment.Launch{launch(environment.LaunchOpen, time.Second)},
			waits: []string{"i1: ECS has not responded to StartTask yet."}, requeueIn: 39 * time.Second,
		},
		"may still get a task that was started": {
			instances: out, launches: []environment.Launch{launch(environment.LaunchStarted, time.Second, named("t1"))},
			waits: []string{"i1: The task has not appeared in the cluster state yet."}, requeueIn: 39 * time.Second,
		},
		"are forgotten once their task has stopped": {
			instances: out, launches: []environment.Launch{launch(environment.LaunchStarted, time.Hour, named("t1"))},
			tasks: []environment.Task{task("t1", current, "STOPPED")},
			want:  []string{"forget i1: The instance does not match the instance group."},
		},
		"do not affect the others": {
			instances: append(on("ACTIVE", "i2")[:0:0], out[0], in("a", active("i2"))),
			want:      []string{"start i2: The instance has no task of the deployment."},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := only(tc, "attribute:zone == a")
			plan := Make(s)
			assert.Equal(t, tc.want, texts(plan.Actions))
			var waits []string
			for _, w := range plan.Waits {
				waits = append(waits, w.Instance+": "+w.Reason)
			}
			assert.Equal(t, tc.waits, waits)
			if tc.requeueIn != 0 {
				assert.Equal(t, now.Add(tc.requeueIn), plan.RequeueAt)
			} else {
				assert.Zero(t, plan.RequeueAt)
			}
			assert.Empty(t, plan.Failed)
			assert.LessOrEqual(t, plan.Counts.Desired, 1)
			assert.Empty(t, Make(done(s, plan)).Actions, "planning again finds work")
		})
	}
}

// Duplicates are stopped also where nothing may be started.
func TestMake_StopsDuplicatesOnUnschedulableInstances(t *testing.T) {
	for name, in := range map[string]environment.Instance{
		"draining":     {ARN: "i1", Status: "DRAINING", AgentConnected: true},
		"disconnected": {ARN: "i1", Status: "ACTIVE"},
	} {
		t.Run(name, func(t *testing.T) {
			s := scenario{
				instances: []environment.Instance{in},
				tasks: []environment.Task{
					task("t1", current, "RUNNING"),
					task("t2", current, "RUNNING"),
					task("t3", earlier, "RUNNING"),
				},
			}.state()
			var stopped []string
			for _, a := range Make(s).Actions {
				assert.Equal(t, Stop, a.Kind)
				stopped = append(stopped, a.Task)
			}
			assert.Equal(t, []string{"t2"}, stopped)
		})
	}
}

// Whether the status or the agent prevents a start is always known, so the wait names one of them.
func TestUnschedulable_NamesTheStatusOrTheAgent(t *testing.T) {
	for name, tc := range map[string]struct {
		instance environment.Instance
		want     string
	}{
		"an ACTIVE instance with a disconnected agent": {
			environment.Instance{ARN: "i1", Status: "ACTIVE"}, "The ECS agent on this instance is disconnected.",
		},
		"a REGISTERING instance with a disconnected agent": {
			environment.Instance{ARN: "i1", Status: "REGISTERING"}, "The instance is REGISTERING.",
		},
		"a DRAINING instance without tasks": {
			environment.Instance{ARN: "i1", Status: "DRAINING", AgentConnected: true}, "The instance is DRAINING.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := scenario{instances: []environment.Instance{tc.instance}}.state()
			assert.Equal(t, []Wait{{"i1", tc.want}}, Make(s).Waits)
			assert.Equal(t, tc.want, Summarize(s).Instances[0].Reason)
		})
	}
}
