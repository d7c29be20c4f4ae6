package planner

import (
	"fmt"
	"testing"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// BenchmarkMake measures plans for a deployment at rest, and for one that replaces the tasks of another.
func BenchmarkMake(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		for name, startedBy := range map[string]string{"at rest": current, "rollout": earlier} {
			b.Run(fmt.Sprintf("%s/instances=%d", name, n), func(b *testing.B) {
				s := cluster(n, startedBy)
				for b.Loop() {
					Make(s)
				}
				b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "instances/s")
			})
		}
	}
}

// cluster returns n instances, each with a running task of the deployment.
func cluster(n int, startedBy string) State {
	const prefix = "arn:aws:ecs:us-east-1:123456789012:"
	s := scenario{instances: []environment.Instance{}, status: environment.Running}.state()
	for i := range n {
		instance := fmt.Sprintf(prefix+"container-instance/prod/%032d", i)
		task := fmt.Sprintf(prefix+"task/prod/%032d", i)
		s.Instances = append(s.Instances, active(instance))
		s.Tasks = append(s.Tasks, environment.Task{
			ARN: task, Instance: instance, StartedBy: startedBy, LastStatus: "RUNNING", DesiredStatus: "RUNNING",
			CreatedAt: now.Add(-48 * time.Hour), StartedAt: now.Add(-47 * time.Hour),
		})
		s.Launches[instance] = environment.Launch{
			Instance: instance, Deployment: startedBy, State: environment.LaunchStarted, Task: task, Attempts: 1,
			NotAfter: now.Add(-47 * time.Hour),
		}
		s.Availability[task] = environment.Availability{Available: true, Since: now.Add(-47 * time.Hour)}
	}
	return s
}
