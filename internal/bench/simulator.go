package bench

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

const manyClusters = 100

// clusterFlags returns the simulator's flags for manyClusters of ten instances each.
func clusterFlags() []string {
	flags := []string{"--instances", "10"}
	for n := range manyClusters {
		flags = append(flags, "--cluster", clusterName(n))
	}
	return flags
}

// simulator sends a request to the simulator's own API.
func (s *system) simulator(ctx context.Context, method, path, body string, into any) error {
	return request(ctx, method, s.simURL+"/_sim/"+path, body, into)
}

// calls counts the calls of the selected actions that the simulator has received.
func (s *system) calls(ctx context.Context, selected func(action string) bool) (n int, err error) {
	var counters struct{ Calls map[string]map[string]int } // by action and outcome
	err = s.simulator(ctx, http.MethodGet, "counters", "", &counters)
	for action, outcomes := range counters.Calls {
		for _, count := range outcomes {
			if selected(action) {
				n += count
			}
		}
	}
	return n, err
}

// registerTaskDefinition registers the task definition "agent". The parameters are those of the simulator, such as
// "&cpu=64".
func (s *system) registerTaskDefinition(ctx context.Context, parameters string) error {
	return s.simulator(ctx, http.MethodPost, "task-definitions?family=agent"+parameters, "", nil)
}

// addInstances registers instances in a cluster and returns their ARNs.
func (s *system) addInstances(ctx context.Context, cluster string, count int) ([]string, error) {
	var added struct{ Instances []string }
	path := fmt.Sprintf("instances?cluster=%s&count=%d", cluster, count)
	err := s.simulator(ctx, http.MethodPost, path, "", &added)
	return added.Instances, err
}

// startedTask is a task that the simulator has started.
type startedTask struct {
	ARN, InstanceARN, StartedBy, LastStatus string
	CreatedAt                               time.Time
}

// startedTasks returns the tasks of a cluster, or of all clusters if it is "".
func (s *system) startedTasks(ctx context.Context, cluster string) (tasks []startedTask, err error) {
	var state struct{ Tasks []startedTask }
	err = s.simulator(ctx, http.MethodGet, "state?cluster="+url.QueryEscape(cluster), "", &state)
	return state.Tasks, err
}
