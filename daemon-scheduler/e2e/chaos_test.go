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

// TestExactlyOneWhileMuchGoesWrong has ECS throttle, fail and lose answers, events come twice and out of order, and the
// leader go again and again, while environments are deployed, instances join and tasks die. The simulator itself
// counts whether an instance ever had two live tasks of one deployment.
func TestExactlyOneWhileMuchGoesWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	instances := w.sim.AddInstances("prod", 10)
	css, _ := w.css("127.0.0.1:0")
	api, next := w.ds(css, "--start-confirm-timeout", "1s"), w.ds(css, "--start-confirm-timeout", "1s")
	var ids []string
	names := []string{"a", "b", "c", "d"}
	for _, name := range names {
		ids = append(ids, "")
		api.create(name)
	}
	for _, replica := range []*ds{api, next} {
		testenv.Eventually(t, func() bool { answer, _ := replica.do("GET", "/v1/ready", ""); return answer.StatusCode == 200 })
	}
	w.sim.SetFaults(ecssim.Faults{
		Throttle: map[string]float64{"ecs": 0.1, "StartTask": 0.3}, ServerErrors: map[string]float64{"ecs": 0.05},
		LostResponses: map[string]float64{"StartTask": 0.1}, LateServerErrors: map[string]float64{"StopTask": 0.1},
		StartFailures: 0.03, ConsistencyLag: ecssim.Duration(500 * time.Millisecond),
		Events: ecssim.EventFaults{Duplicate: 0.1, Reorder: 0.1, Delay: 0.1, DelayBy: ecssim.Duration(300 * time.Millisecond)},
	})
	for i, name := range names {
		ids[i] = api.deploy(api.environment(name))
	}
	for round := range 4 {
		testenv.Eventually(t, func() bool { return len(w.live(ids[round])) > 0 }, "%s has no task at all", names[round])
		for _, tasks := range w.live(ids[round]) {
			_ = w.sim.KillTask(tasks[0].ARN, 1) // or it is dead already
			break
		}
		instances = append(instances, w.sim.AddInstances("prod", 1)...)
		// The one that leads goes, and another one comes.
		leader := api.leader()
		if strings.Contains(leader, strings.TrimPrefix(api.url, "http://127.0.0.1")+"-") {
			api, next = next, api
		}
		next.stop()
		testenv.Eventually(t, func() bool { now := api.leader(); return now != "" && now != leader })
		next = w.ds(css, "--start-confirm-timeout", "1s")
	}
	require.NoError(t, w.sim.RemoveInstance(instances[0]))
	w.sim.SetFaults(ecssim.Faults{})
	for i, name := range names {
		w.oneEach(ids[i], instances[1:]...)
		api.completed(name, ids[i])
	}
	for _, name := range names {
		testenv.Eventually(t, func() bool { return !w.openLaunches(name) && *api.environment(name).Health == "healthy" })
	}
	for i := range names {
		w.oneEach(ids[i], instances[1:]...)
	}
	w.neverTwo()
	assert.Equal(t, fmt.Sprint(map[string]int{ids[0]: 1, ids[1]: 1, ids[2]: 1, ids[3]: 1}), fmt.Sprint(w.sim.Counters().PeakByStartedBy))
}
