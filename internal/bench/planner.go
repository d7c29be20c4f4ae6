package bench

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
)

const plannedInstances = 10_000

// measurePlanner measures the planner alone, for a cluster at rest and for one without tasks.
func measurePlanner(_ context.Context, cfg config, t *table) error {
	atRest, empty := planningInput()
	for _, c := range []struct {
		name    string
		state   planner.State
		actions int
	}{
		{"at rest", atRest, 0},
		{"without tasks", empty, plannedInstances},
	} {
		var samples []sample
		for range max(cfg.runs, 10) {
			start := time.Now()
			plan := planner.Make(c.state)
			samples = append(samples, sample{time.Since(start).Seconds() * 1000, math.NaN()})
			if len(plan.Actions) != c.actions {
				return fmt.Errorf("%d actions %s, want %d", len(plan.Actions), c.name, c.actions)
			}
		}
		t.add("planner", "a plan for 10,000 instances, "+c.name, "ms", samples)
	}
	return nil
}

// planningInput returns the state of a deployment that is completed, and of one that has not started any task.
func planningInput() (atRest, empty planner.State) {
	const deployment = "22222222-2222-4222-8222-222222222222"
	const prefix = "arn:aws:ecs:us-east-1:123456789012:"
	spec := environment.Spec{TaskDefinition: "agent:1"}
	spec.DeploymentConfiguration.SlowStart = new(false)
	e := environment.Create("logs", "cluster", "token", spec, time.Now())
	e.Deployments[deployment] = environment.Deployment{
		ID: deployment, Status: environment.Running, TaskDefinition: "agent:1",
	}
	empty = planner.State{Environment: e, Fresh: true, Now: time.Now()}
	for n := range plannedInstances {
		empty.Instances = append(empty.Instances, environment.Instance{
			ARN: prefix + "container-instance/prod/" + id('b', n), Status: "ACTIVE", AgentConnected: true,
		})
	}
	atRest = empty
	atRest.Launches = map[string]environment.Launch{}
	for n, instance := range empty.Instances {
		task := prefix + "task/prod/" + id('a', n)
		atRest.Tasks = append(atRest.Tasks, environment.Task{
			ARN: task, Instance: instance.ARN, StartedBy: deployment, LastStatus: "RUNNING", DesiredStatus: "RUNNING",
		})
		atRest.Launches[instance.ARN] = environment.Launch{
			Instance: instance.ARN, Deployment: deployment, State: environment.LaunchStarted, Task: task, Attempts: 1,
		}
	}
	return atRest, empty
}
