package clusterstate_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/daemon-scheduler/clusterstate"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/internal/testenv"
)

const prod = "arn:aws:ecs:us-east-1:123456789012:cluster/prod"

// BenchmarkPlan measures planning for an environment at rest on a cluster where each instance runs ten tasks, one of
// them the environment's.
func BenchmarkPlan(b *testing.B) {
	const deployment = "22222222-2222-4222-8222-222222222222"
	for _, n := range []int{100, 5_000} {
		b.Run(fmt.Sprintf("instances=%d", n), func(b *testing.B) {
			c := filled(b, n, 10, deployment)
			e := environment.New("logs", prod, "agent:1", "token")
			e.Deployments[deployment] = environment.Deployment{
				ID: deployment, Status: environment.Completed, TaskDefinition: "agent:1",
			}
			launches := map[string]environment.Launch{}
			for i := range n {
				instance := instanceARN(i)
				launches[instance] = environment.Launch{
					Instance: instance, Deployment: deployment, State: environment.LaunchStarted, Task: taskARN(i, 0), Attempts: 1,
				}
			}
			for b.Loop() {
				plan := planner.Make(planner.State{
					Environment: e, Launches: launches, Fresh: true, Instances: c.Instances(prod),
					Tasks: c.Tasks(prod, deployment), Now: time.Now(),
				})
				if len(plan.Actions) > 0 || plan.Progress.Desired != n {
					b.Fatal(plan.Actions[0], plan.Progress.Desired)
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "instances/s")
		})
	}
}

func instanceARN(i int) string {
	return fmt.Sprintf("arn:aws:ecs:us-east-1:123456789012:container-instance/prod/%032d", i)
}

func taskARN(i, n int) string {
	return fmt.Sprintf("arn:aws:ecs:us-east-1:123456789012:task/prod/%016d%016d", n, i)
}

// filled is the copy of a cluster in which every instance runs some tasks, the first of them the deployment's.
func filled(b *testing.B, instances, each int, deployment string) clusterstate.Cluster {
	var listed, tasks, attributes []string
	for i := range 20 { // about as many as the ECS agent registers
		attributes = append(attributes, fmt.Sprintf(`{"name":"ecs.capability.docker-remote-api.%d","value":""}`, i))
	}
	for i := range instances {
		listed = append(listed, fmt.Sprintf(`{"metadata":{"entityVersion":"2"},"entity":{"clusterARN":%q,"containerInstanceARN":%q,`+
			`"status":"ACTIVE","agentConnected":true,"attributes":[%s],"registeredResources":[],"remainingResources":[],"versionInfo":{}}}`,
			prod, instanceARN(i), strings.Join(attributes, ",")))
		for n := range each {
			by := "another-scheduler"
			if n == 0 {
				by = deployment
			}
			tasks = append(tasks, fmt.Sprintf(`{"metadata":{"entityVersion":"3"},"entity":{"clusterARN":%q,"containerInstanceARN":%q,`+
				`"containers":[],"startedBy":%q,"createdAt":"2026-01-02T03:04:05.678Z","startedAt":"2026-01-02T03:04:06Z","desiredStatus":"RUNNING",`+
				`"lastStatus":"RUNNING","overrides":{"containerOverrides":[]},"taskARN":%q,"taskDefinitionARN":"td"}}`,
				prod, instanceARN(i), by, taskARN(i, n)))
		}
	}
	mux := http.NewServeMux()
	for path, items := range map[string][]string{"GET /v1/instances": listed, "GET /v1/tasks": tasks} {
		body := []byte(`{"items":[` + strings.Join(items, ",") + `],"metadata":{"entityVersion":"3"}}`)
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	}
	mux.HandleFunc("GET /v1/stream/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"metadata":{"entityVersion":"3"}}` + "\n"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	css := httptest.NewServer(mux)
	defer css.Close()
	clusterInformer, err := informer.New(informer.Config{Endpoints: []string{css.URL}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- clusterInformer.Run(ctx) }()
	testenv.Eventually(b, clusterInformer.Synced)
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	return clusterstate.New(clusterInformer)
}
