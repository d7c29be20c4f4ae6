package planner

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// lossyCluster has three instances, a cluster state that lags, and an executor that carries out parts of plans in any
// order and loses some answers of StartTask.
type lossyCluster struct {
	*rand.Rand
	t     *testing.T
	state State                       // what the planner sees; its tasks are the copy
	tasks map[string]environment.Task // what is
	count int
}

func TestMake_NeverRunsTwoTasksOfADeploymentOnAnInstance(t *testing.T) {
	for seed := range seeds(300) {
		w := &lossyCluster{Rand: rand.New(rand.NewPCG(seed, 1)), t: t, tasks: map[string]environment.Task{}}
		w.state = scenario{instances: []environment.Instance{active("i1"), active("i2"), active("i3")}}.state()
		w.state.StopRequestedAt = map[string]time.Time{}
		w.start("i1", earlier)
		w.start("i2", earlier)
		w.copyTasks(1)
		for range 150 {
			w.step()
			w.check(seed)
		}
		w.converge(seed)
	}
}

// step changes some tasks, updates a part of the cluster state, and carries out a part of the plan.
func (w *lossyCluster) step() {
	w.state.Now = w.state.Now.Add(time.Duration(w.IntN(15)) * time.Second)
	for arn, task := range w.tasks {
		switch w.IntN(12) {
		case 0:
			w.die(arn)
		case 1, 2, 3:
			if task.LastStatus == "PENDING" {
				task.LastStatus, task.StartedAt = "RUNNING", w.state.Now
				w.tasks[arn] = task
			}
		case 4, 5:
			if task.Stopping() {
				w.die(arn)
			}
		}
	}
	for i := range w.state.Instances {
		w.state.Instances[i].AgentConnected = w.IntN(8) > 0
	}
	w.state.Fresh = w.IntN(8) > 0
	w.copyTasks(3)
	actions := Make(w.state).Actions
	w.Shuffle(len(actions), func(i, j int) { actions[i], actions[j] = actions[j], actions[i] })
	for _, a := range actions[:w.IntN(len(actions)+1)] {
		w.do(a, true)
	}
}

// copyTasks copies each task into the cluster state with a probability of 1/of.
func (w *lossyCluster) copyTasks(of int) {
	seen := map[string]environment.Task{}
	for _, task := range w.state.Tasks {
		seen[task.ARN] = task
	}
	for arn, task := range w.tasks {
		if w.IntN(of) == 0 {
			seen[arn] = task
		}
	}
	w.state.Tasks = slices.Collect(maps.Values(seen))
}

func (w *lossyCluster) do(a Action, ambiguous bool) {
	switch a.Kind {
	case Stop:
		if task := w.tasks[a.Task]; task.Live() {
			task.DesiredStatus = "STOPPED"
			w.tasks[a.Task] = task
		}
		w.state.StopRequestedAt[a.Task] = w.state.Now
		if a.Launch.Instance != "" {
			a.Launch.NotAfter = w.state.Now.Add(environment.LaunchWindow)
			w.state.Launches[a.Instance] = a.Launch
		}
	case Start:
		require.True(w.t, w.state.Fresh, "started from a copy that is not current")
		a.Launch.NotAfter = w.state.Now.Add(environment.LaunchWindow)
		w.state.Launches[a.Instance] = a.Launch
		switch outcome := w.IntN(6); {
		case ambiguous && outcome == 0: // the answer is lost, or the process dies
			w.start(a.Instance, a.Launch.Deployment)
		case ambiguous && outcome == 1: // so is the question
		case ambiguous && outcome == 2:
			w.state.Launches[a.Instance] = FailedLaunch(a.Launch, "RESOURCE:CPU", "", w.state.Now)
		default:
			w.state.Launches[a.Instance] = StartedLaunch(a.Launch, w.start(a.Instance, a.Launch.Deployment))
		}
	case Confirm:
		var found []environment.Task
		for _, task := range w.tasks {
			named := a.Launch.State == environment.LaunchStarted && task.ARN == a.Launch.Task
			listed := a.Launch.State == environment.LaunchOpen && task.StartedBy == a.Launch.Deployment &&
				task.Instance == a.Instance
			if named || listed {
				found = append(found, task)
			}
		}
		w.state.Launches[a.Instance] = ConfirmLaunch(a.Launch, found, w.state.Now)
	case Record:
		w.state.Launches[a.Instance] = a.Launch
	case Forget:
		delete(w.state.Launches, a.Instance)
	}
}

func (w *lossyCluster) start(instance, deployment string) string {
	w.count++
	arn := fmt.Sprintf("t%04d", w.count)
	w.tasks[arn] = environment.Task{
		ARN: arn, Instance: instance, StartedBy: deployment, LastStatus: "PENDING", DesiredStatus: "RUNNING",
		CreatedAt: w.state.Now,
	}
	return arn
}

func (w *lossyCluster) die(arn string) {
	task := w.tasks[arn]
	if task.Live() {
		task.LastStatus, task.DesiredStatus, task.StoppedAt = "STOPPED", "STOPPED", w.state.Now
		w.tasks[arn] = task
	}
}

func (w *lossyCluster) check(seed uint64) {
	live := map[string]int{}
	for _, task := range w.tasks {
		if task.Live() {
			key := task.StartedBy + " on " + task.Instance
			live[key]++
			require.LessOrEqual(w.t, live[key], 1, "seed %d: live tasks of %s", seed, key)
			both := live[earlier+" on "+task.Instance] + live[current+" on "+task.Instance]
			require.LessOrEqual(w.t, both, 1, "seed %d: old and new live together on %s", seed, task.Instance)
		}
	}
}

// converge stops all faults. The plans must end with one running task on each instance.
func (w *lossyCluster) converge(seed uint64) {
	for i := range w.state.Instances {
		w.state.Instances[i].AgentConnected = true
	}
	w.state.Fresh = true
	for range 50 {
		for arn, task := range w.tasks {
			if task.Stopping() {
				w.die(arn)
			} else if task.LastStatus == "PENDING" {
				task.LastStatus, task.StartedAt = "RUNNING", w.state.Now
				w.tasks[arn] = task
			}
		}
		w.copyTasks(1)
		plan := Make(w.state)
		for _, a := range plan.Actions {
			w.do(a, false)
		}
		w.check(seed)
		if len(plan.Actions) == 0 && plan.RequeueAt.IsZero() {
			require.Equal(w.t, environment.Completed, plan.Progress.Status, "seed %d", seed)
			require.Equal(w.t, environment.Healthy, plan.Progress.Health, "seed %d", seed)
			return
		}
		w.state.Now = w.state.Now.Add(time.Second)
		if plan.RequeueAt.After(w.state.Now) {
			w.state.Now = plan.RequeueAt
		}
	}
	require.Fail(w.t, "no end", "seed %d: %+v", seed, Make(w.state))
}
