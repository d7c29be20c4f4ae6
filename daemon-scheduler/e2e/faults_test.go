package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// ECS throttles, fails and loses responses, events arrive twice and out of order, and the leader stops several times,
// while environments are deployed, instances join and tasks exit. The simulator records whether an instance ever had
// two live tasks of one deployment.
func TestScheduler_RunsOneTaskOnEachInstanceDespiteFaults(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 10)
	css, _ := w.startCSS("127.0.0.1:0")
	api, next := w.startScheduler(css, "--start-confirm-timeout", "1s"),
		w.startScheduler(css, "--start-confirm-timeout", "1s")
	var ids []string
	names := []string{"a", "b", "c", "d"}
	for _, name := range names {
		ids = append(ids, "")
		api.createEnvironment(name)
	}
	for _, replica := range []*scheduler{api, next} {
		testenv.Eventually(t, func() bool {
			answer, _ := replica.send("GET", "/v1/ready", "")
			return answer.StatusCode == 200
		})
	}
	w.sim.SetFaults(ecssim.Faults{
		Throttle: map[string]float64{"ecs": 0.1, "StartTask": 0.3}, ServerErrors: map[string]float64{"ecs": 0.05},
		LostResponses: map[string]float64{"StartTask": 0.1}, LateServerErrors: map[string]float64{"StopTask": 0.1},
		StartFailures: 0.03, ConsistencyLag: ecssim.Duration(500 * time.Millisecond),
		Events: ecssim.EventFaults{Duplicate: 0.1, Reorder: 0.1, Delay: 0.1,
			DelayBy: ecssim.Duration(300 * time.Millisecond)},
	})
	for i, name := range names {
		ids[i] = api.deploy(api.getEnvironment(name))
	}
	for round := range 4 {
		testenv.Eventually(t, func() bool { return len(w.liveTasks(ids[round])) > 0 }, "%s has no task", names[round])
		for _, tasks := range w.liveTasks(ids[round]) {
			_ = w.sim.KillTask(tasks[0].ARN, 1) // the task may have stopped already
			break
		}
		instances = append(instances, w.sim.AddInstances("prod", 1)...)
		// The leader stops, and a new replica starts once the other one leads.
		leader := api.leader()
		if strings.Contains(leader, strings.TrimPrefix(api.url, "http://127.0.0.1")+"-") {
			api, next = next, api
		}
		next.stop()
		testenv.Eventually(t, func() bool { now := api.leader(); return now != "" && now != leader })
		next = w.startScheduler(css, "--start-confirm-timeout", "1s")
	}
	require.NoError(t, w.sim.RemoveInstance(instances[0]))
	w.sim.SetFaults(ecssim.Faults{})
	for i, name := range names {
		w.awaitOneTaskEach(ids[i], instances[1:]...)
		api.awaitCompleted(name, ids[i])
	}
	for _, name := range names {
		testenv.Eventually(t, func() bool {
			return !w.hasOpenLaunches(name) && *api.getEnvironment(name).Health == "healthy"
		})
	}
	for i := range names {
		w.awaitOneTaskEach(ids[i], instances[1:]...)
	}
	w.assertNoDuplicates()
	assert.Equal(t, fmt.Sprint(map[string]int{ids[0]: 1, ids[1]: 1, ids[2]: 1, ids[3]: 1}),
		fmt.Sprint(w.sim.Counters().PeakByStartedBy))
}
