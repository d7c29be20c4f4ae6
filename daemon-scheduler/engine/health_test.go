package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// A full pass over the tasks at rest takes an interval, in calls for a hundred tasks each.
func TestHealthReader_SpreadsItsCallsOverTheInterval(t *testing.T) {
	for _, n := range []int{30, 5000} {
		e := &Engine{Config: Config{HealthInterval: time.Minute, RolloutHealthInterval: 3 * time.Second}}
		r := newHealthReader(e, nil)
		var targets []healthTarget
		for i := range n {
			targets = append(targets, healthTarget{Task: environment.Task{
				ARN: fmt.Sprint("t", i), Health: environment.HealthHealthy,
			}})
		}
		targets[0].inRollout = true
		now := time.Now()
		reads, calls, most := map[string]int{}, 0, 0
		for round := range 60 { // three minutes
			due := r.due([]healthTargets{{tasks: targets}}, now.Add(time.Duration(round)*e.RolloutHealthInterval))
			for _, target := range due {
				reads[target.ARN]++
				r.tasks[target.ARN] = readTask{readAt: now.Add(time.Duration(round) * e.RolloutHealthInterval)}
			}
			most = max(most, (len(due)+99)/100)
			calls += (len(due) + 99) / 100
		}
		assert.Equal(t, 60, reads["t0"], "often")
		for i := 1; i < n; i++ {
			assert.Equal(t, 3, reads[fmt.Sprint("t", i)])
		}
		assert.LessOrEqual(t, most, 1+n/500, "the calls at once")
		assert.LessOrEqual(t, calls, 3*(n/100)+60)
	}
}

// At rest, the reader builds nothing: the tasks to read are those of the last change that it was notified of.
func TestHealthReader_FindsItsTasksAfterChangesOnly(t *testing.T) {
	r, records, fake := newReconciliation(t, leads)
	fake.describe = (&describedTasks{}).describe
	stored, err := records.Update(t.Context(), "logs", func(e environment.Environment) (environment.Environment, error) {
		e.Deployments = map[string]environment.Deployment{"d": {
			ID: "d", Status: environment.Completed, TaskDefinition: "agent:1", CheckedContainers: []string{"app"},
		}}
		return e, nil
	})
	require.NoError(t, err)
	awaitCached(t, r.Cache, func(e environment.Environment, _ error) bool {
		return e.StoredVersion == stored.StoredVersion
	})
	fake.css.changeTask(t, "t1", "RUNNING")
	reader := newHealthReader(r.Engine, r.leader)
	tasks := func() (arns []string) {
		require.NoError(t, reader.read(t.Context()))
		for _, target := range reader.targets["logs"].tasks {
			arns = append(arns, target.ARN)
		}
		return arns
	}
	assert.Empty(t, tasks())
	r.EnvironmentChanged("logs")
	assert.Equal(t, []string{"t1"}, tasks())
	assert.Len(t, reader.tasks, 1)

	fake.css.changeTask(t, "t1", "STOPPED")
	assert.Equal(t, []string{"t1"}, tasks())
	r.TaskChanged("c", environment.Task{ARN: "t1", StartedBy: "d", LastStatus: "STOPPED"})
	assert.Empty(t, tasks())
	assert.Empty(t, reader.tasks)
}
