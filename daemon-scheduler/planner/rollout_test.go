package planner

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/query"
)

const (
	token1, token2 = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
	newest         = "33333333-3333-4333-8333-333333333333"
)

// fleet is many instances whose tasks do what they are told, a copy of them that lags, and an executor that carries out
// a part of each plan.
type fleet struct {
	*rand.Rand
	t     *testing.T
	state State
	tasks map[string]environment.Task
	bad   func(deployment, instance string) bool // whether a task dies at once; nil for none
	full  map[string]bool                        // instances that refuse every start
	count int
}

// newFleet has n instances on which the first revision runs, and a second one of spec that is to be deployed.
func newFleet(t *testing.T, seed uint64, n int, spec environment.Spec) *fleet {
	t.Helper()
	f := &fleet{Rand: rand.New(rand.NewPCG(seed, 2)), t: t, tasks: map[string]environment.Task{}, full: map[string]bool{}}
	e := environment.Create("logs", "arn:cluster", token1, environment.Spec{TaskDefinition: "arn:td:1"}, now.Add(-time.Hour))
	e, err := e.Deploy(earlier, token1, now.Add(-time.Hour))
	require.NoError(t, err)
	e, _ = e.RecordProgress(earlier, environment.Progress{Status: environment.Completed}, now.Add(-time.Hour))
	spec.TaskDefinition = "arn:td:2"
	e, err = e.Update(spec, token1, token2, now)
	require.NoError(t, err)
	e, err = e.Deploy(current, token2, now)
	require.NoError(t, err)
	f.state = State{Environment: e, Launches: map[string]environment.Launch{}, Fresh: true, StopRequestedAt: map[string]time.Time{}, Now: now, StartConfirmTimeout: settle}
	for i := range n {
		arn := fmt.Sprintf("i%03d", i)
		f.state.Instances = append(f.state.Instances, environment.Instance{
			ARN: arn, Status: "ACTIVE", AgentConnected: true, Attributes: query.Map{"zone": string(rune('a' + i%3))},
		})
		task := f.start(arn, earlier)
		f.run(task)
	}
	f.observe(1)
	return f
}

func (f *fleet) start(instance, deployment string) string {
	f.count++
	arn := fmt.Sprintf("t%05d", f.count)
	f.tasks[arn] = environment.Task{ARN: arn, Instance: instance, StartedBy: deployment, LastStatus: "PENDING", DesiredStatus: "RUNNING", CreatedAt: f.state.Now}
	return arn
}

func (f *fleet) run(arn string) {
	task := f.tasks[arn]
	task.LastStatus, task.StartedAt = "RUNNING", f.state.Now
	f.tasks[arn] = task
}

func (f *fleet) die(arn string) {
	task := f.tasks[arn]
	if !task.Stopping() {
		task.StoppedReason = "it crashed"
	}
	task.LastStatus, task.DesiredStatus, task.StoppedAt = "STOPPED", "STOPPED", f.state.Now
	f.tasks[arn] = task
}

// observe copies each task with a chance of one in of.
func (f *fleet) observe(of int) {
	seen := map[string]environment.Task{}
	for _, task := range f.state.Tasks {
		seen[task.ARN] = task
	}
	for _, arn := range slices.Sorted(maps.Keys(f.tasks)) {
		if f.IntN(of) == 0 {
			seen[arn] = f.tasks[arn]
		}
	}
	f.state.Tasks = slices.Collect(maps.Values(seen))
}

// step has some time pass, tasks go on, and a part of the plan done.
func (f *fleet) step() Plan {
	f.state.Now = f.state.Now.Add(time.Duration(1+f.IntN(5)) * time.Second)
	for _, arn := range slices.Sorted(maps.Keys(f.tasks)) {
		switch task := f.tasks[arn]; {
		case !task.Live() || f.IntN(3) == 0:
		case task.Stopping():
			f.die(arn)
		case f.bad != nil && f.bad(task.StartedBy, task.Instance):
			f.die(arn)
		case task.LastStatus == "PENDING":
			f.run(arn)
		}
	}
	f.observe(2)
	plan := Make(f.state)
	if plan.FailureReason != "" {
		f.state.Environment = f.state.Environment.Fail(plan.Deployment, plan.FailureReason, newest, f.state.Now)
		return plan
	}
	f.state.Environment, _ = f.state.Environment.RecordProgress(plan.Deployment, plan.Progress, f.state.Now)
	for _, a := range plan.Actions {
		if f.IntN(4) > 0 {
			f.do(a)
		}
	}
	return plan
}

func (f *fleet) do(a Action) {
	switch a.Kind {
	case Stop:
		if task := f.tasks[a.Task]; task.Live() && !task.Stopping() {
			task.DesiredStatus, task.StoppedReason = "STOPPED", a.Reason
			f.tasks[a.Task] = task
		}
		f.state.StopRequestedAt[a.Task] = f.state.Now
	case Start:
		a.Launch.NotAfter = f.state.Now.Add(environment.LaunchWindow)
		if f.full[a.Instance] {
			f.state.Launches[a.Instance] = FailedLaunch(a.Launch, "RESOURCE:MEMORY", "", f.state.Now)
			return
		}
		f.state.Launches[a.Instance] = StartedLaunch(a.Launch, f.start(a.Instance, a.Launch.Deployment))
	case Confirm:
		var found []environment.Task
		for _, task := range f.tasks {
			if task.ARN == a.Launch.Task {
				found = append(found, task)
			}
		}
		f.state.Launches[a.Instance] = ConfirmLaunch(a.Launch, found, f.state.Now)
	case Record:
		f.state.Launches[a.Instance] = a.Launch
	case Forget:
		delete(f.state.Launches, a.Instance)
	}
}

// running is how many instances have a running task; doubled how many have two live ones; of how many live tasks of each
// deployment there are.
func (f *fleet) running() (up, doubled int, of map[string]int) {
	running, live, each := map[string]bool{}, map[string]int{}, map[string]int{}
	of = map[string]int{}
	for _, task := range f.tasks {
		if !task.Live() {
			continue
		}
		of[task.StartedBy]++
		live[task.Instance]++
		each[task.StartedBy+task.Instance]++
		require.Equal(f.t, 1, each[task.StartedBy+task.Instance], "two live tasks of one deployment on an instance")
		running[task.Instance] = running[task.Instance] || task.Running()
	}
	for _, n := range live {
		require.LessOrEqual(f.t, n, 2)
		if n > 1 {
			doubled++
		}
	}
	return len(maps.Collect(func(yield func(string, bool) bool) {
		for i, is := range running {
			if is && !yield(i, is) {
				return
			}
		}
	})), doubled, of
}

func percent(minimum, maximum int) environment.DeploymentConfiguration {
	return environment.DeploymentConfiguration{MinimumHealthyPercent: &minimum, MaximumPercent: &maximum}
}

func TestARolloutKeepsToItsPercentages(t *testing.T) {
	for name, tc := range map[string]struct {
		configuration environment.DeploymentConfiguration
		lack, double  int // of 40
	}{
		"as by default":         {environment.DeploymentConfiguration{}, 4, 0},
		"half at a time":        {percent(50, 100), 20, 0},
		"all at once":           {percent(0, 100), 40, 0},
		"one at a time":         {percent(100, 100), 1, 0},
		"start first":           {percent(100, 150), 0, 20},
		"start first, all":      {percent(0, 200), 0, 40},
		"start first, the rest": {percent(90, 101), 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(8) {
				f := newFleet(t, seed, 40, environment.Spec{DeploymentConfiguration: tc.configuration})
				lacked, doubled := 0, 0
				for n := 0; ; n++ {
					require.Less(t, n, 1000, "it does not end")
					f.step()
					up, twice, of := f.running()
					require.GreaterOrEqual(t, up, 40-tc.lack, "seed %d", seed)
					require.LessOrEqual(t, twice, tc.double, "seed %d", seed)
					lacked, doubled = max(lacked, 40-up), max(doubled, twice)
					if f.state.Environment.Deployments[current].Status == environment.Completed {
						require.Equal(t, 40, of[current])
						break
					}
				}
				for range 20 {
					f.step()
				}
				_, _, of := f.running()
				require.Equal(t, map[string]int{current: 40}, of)
				assert.Positive(t, lacked+doubled)
			}
		})
	}
}

// Instances that had no task before hold nothing up, and their failures are not the deployment's.
func TestWhatWasLostBeforeHoldsNothingUp(t *testing.T) {
	spec := environment.Spec{}
	spec.DeploymentConfiguration.CircuitBreaker = environment.CircuitBreaker{Enable: true, Rollback: true}
	f := newFleet(t, 1, 40, spec)
	for i := range 10 {
		arn := fmt.Sprintf("i%03d", 4*i)
		f.full[arn] = true
		for task := range f.tasks {
			if f.tasks[task].Instance == arn {
				delete(f.tasks, task) // it died long ago
			}
		}
	}
	f.state.Tasks = nil
	f.observe(1)
	for n := 0; f.state.Environment.Deployments[current].Status != environment.Completed; n++ {
		require.Less(t, n, 1000, "it does not end")
		f.step()
		up, _, _ := f.running()
		require.GreaterOrEqual(t, up, 40-10-4)
	}
	assert.Equal(t, environment.RolloutCompleted, f.state.Environment.Deployments[current].Rollout())
	_, _, of := f.running()
	assert.Equal(t, map[string]int{current: 30}, of)
}

func TestABadDeploymentIsStoppedAndRolledBack(t *testing.T) {
	for _, rollback := range []bool{true, false} {
		t.Run(fmt.Sprint("rollback ", rollback), func(t *testing.T) {
			spec := environment.Spec{}
			spec.DeploymentConfiguration.CircuitBreaker = environment.CircuitBreaker{Enable: true, Rollback: rollback, Threshold: 6}
			f := newFleet(t, 3, 40, spec)
			f.bad = func(deployment, _ string) bool { return deployment == current }
			for n := 0; f.state.Environment.Deployments[current].Rollout() == environment.RolloutInProgress; n++ {
				require.Less(t, n, 1000, "it does not end")
				f.step()
				up, _, _ := f.running()
				require.GreaterOrEqual(t, up, 36, "the minimum holds for bad deployments too")
			}
			failed := f.state.Environment.Deployments[current]
			assert.Equal(t, environment.RolloutFailed, failed.Rollout())
			assert.Contains(t, failed.RolloutStateReason, "Circuit breaker tripped: ")
			assert.Contains(t, failed.RolloutStateReason, " failures (threshold 6). First: STOPPED on i0")
			assert.GreaterOrEqual(t, failed.FailedTasks, 0)
			if !rollback {
				assert.True(t, f.state.Environment.Paused)
				before := f.count
				for range 20 {
					f.step()
				}
				assert.Equal(t, before, f.count, "nothing is started on pause")
				return
			}
			for n := 0; f.state.Environment.Deployments[newest].Status != environment.Completed; n++ {
				require.Less(t, n, 1000, "it does not go back")
				f.step()
				up, _, _ := f.running()
				require.GreaterOrEqual(t, up, 36)
			}
			up, _, of := f.running()
			assert.Equal(t, 40, up)
			assert.Zero(t, of[current])
			assert.GreaterOrEqual(t, of[earlier], 36, "tasks of the revision that is gone back to stay")
		})
	}
}

func TestACanaryWaitsToBePromoted(t *testing.T) {
	for name, tc := range map[string]struct {
		canary environment.Canary
		want   int
	}{
		"in percent": {environment.Canary{Percent: 10}, 4},
		"by a query": {environment.Canary{Query: "attribute:zone == b"}, 13},
	} {
		t.Run(name, func(t *testing.T) {
			spec := environment.Spec{}
			spec.DeploymentConfiguration.Canary = &tc.canary
			f := newFleet(t, 5, 40, spec)
			for range 200 {
				f.step()
				_, _, of := f.running()
				require.LessOrEqual(t, of[current], tc.want)
			}
			_, _, of := f.running()
			assert.Equal(t, map[string]int{current: tc.want, earlier: 40 - tc.want}, of)
			assert.Equal(t, environment.Running, f.state.Environment.Deployments[current].Status)

			// An instance that joins meanwhile, and one whose task dies, get what was completed before.
			f.state.Instances = append(f.state.Instances, environment.Instance{ARN: "j", Status: "ACTIVE", AgentConnected: true})
			for arn, task := range f.tasks {
				if task.Live() && task.Instance == "i039" {
					f.die(arn)
				}
			}
			for range 100 {
				f.step()
			}
			_, _, of = f.running()
			assert.Equal(t, map[string]int{current: tc.want, earlier: 41 - tc.want}, of)

			promoted, err := f.state.Environment.Promote(current)
			require.NoError(t, err)
			f.state.Environment = promoted
			for n := 0; f.state.Environment.Deployments[current].Status != environment.Completed; n++ {
				require.Less(t, n, 1000, "it does not end")
				f.step()
			}
			_, _, of = f.running()
			assert.Equal(t, map[string]int{current: 41}, of)
		})
	}
}

func TestADeploymentBakes(t *testing.T) {
	spec := environment.Spec{}
	spec.DeploymentConfiguration = percent(0, 100)
	spec.DeploymentConfiguration.BakeTimeInMinutes = 10
	spec.DeploymentConfiguration.CircuitBreaker = environment.CircuitBreaker{Enable: true, Rollback: true, Threshold: 3}
	f := newFleet(t, 7, 10, spec)
	for n := 0; f.state.Environment.Deployments[current].BakeStartedAt.IsZero(); n++ {
		require.Less(t, n, 1000, "it does not begin to bake")
		f.step()
	}
	_, _, of := f.running()
	assert.Equal(t, map[string]int{current: 10}, of)
	since := f.state.Environment.Deployments[current].BakeStartedAt
	f.observe(1)
	plan := Make(f.state)
	assert.Equal(t, environment.Running, plan.Progress.Status)
	assert.Equal(t, since.Add(10*time.Minute), plan.RequeueAt)
	f.state.Now = since.Add(10 * time.Minute)
	assert.Equal(t, environment.Completed, Make(f.state).Progress.Status)

	f.state.Now = since.Add(time.Minute) // tasks that die while it bakes count
	f.bad = func(deployment, _ string) bool { return deployment == current }
	for n := 0; f.state.Environment.Deployments[current].Rollout() == environment.RolloutInProgress; n++ {
		require.Less(t, n, 1000, "it does not fail")
		f.step()
	}
	assert.Equal(t, environment.RolloutFailed, f.state.Environment.Deployments[current].Rollout())
}

func TestDaemonsLeaveADrainingInstanceInTheirOrder(t *testing.T) {
	r := row{instances: on("DRAINING", "i1"), tasks: []environment.Task{
		task("t1", current, "RUNNING"), task("t2", "first-out", "RUNNING"), task("t3", "last-out", "RUNNING"), task("t4", "", "STOPPED"),
	}}
	s := r.state()
	s.Environment.Revisions = []environment.Revision{{Number: 1, Spec: environment.Spec{TaskDefinition: agent2, DrainOrder: 5}}}
	s.DrainOrders = map[string]int{current: 5, "first-out": 4, "last-out": 6}
	plan := Make(s)
	assert.Empty(t, plan.Actions)
	assert.Equal(t, []Wait{{"i1", "The instance is draining; daemons with a lower drain order still run on it."}}, plan.Waits)
	s.Tasks[1].LastStatus = "STOPPED"
	assert.Equal(t, []string{"stop t1: blox: the instance is draining, environment logs"}, texts(Make(s).Actions))
	s.Environment.Paused = true
	assert.Empty(t, Make(s).Actions)
	s.Environment.Paused, s.DrainOrders = false, nil
	assert.Empty(t, Make(s).Actions, "who is a daemon is not known")
}

// Whoever has started what is the last on a draining instance: it must not hold the drain up for ever.
func TestTasksOfAnEnvironmentWithoutADeploymentLeaveToo(t *testing.T) {
	s := row{instances: on("DRAINING", "i1"), tasks: []environment.Task{task("t1", current, "RUNNING")}}.state()
	for id, d := range s.Environment.Deployments {
		d.Status, d.RolloutState = environment.Completed, environment.RolloutStopped
		s.Environment.Deployments[id] = d
	}
	assert.Equal(t, []string{"stop t1: blox: the instance is draining, environment logs"}, texts(Make(s).Actions))
	s.Environment.Paused = true
	assert.Empty(t, Make(s).Actions)
	s.Environment.Paused, s.Instances = false, []environment.Instance{active("i1")}
	assert.Empty(t, Make(s).Actions, "elsewhere it stays")
}

// A task that took the place of one that died has to run for the bake time, too; one on an instance that joined has not.
func TestTheBakeTimeBeginsAnewWithATaskThatIsReplaced(t *testing.T) {
	for attempts, want := range map[int]environment.Status{1: environment.Completed, 2: environment.Running} {
		young := with(task("t1", current, "RUNNING"), func(t *environment.Task) { t.StartedAt = now.Add(-time.Minute) })
		s := row{tasks: []environment.Task{young}, launches: []environment.Launch{launch(environment.LaunchStarted, 2*time.Minute, named("t1"), attempt(attempts))}}.state()
		s.Environment.Revisions = []environment.Revision{{Number: 1, Spec: environment.Spec{
			TaskDefinition: agent2, DeploymentConfiguration: environment.DeploymentConfiguration{BakeTimeInMinutes: 10},
		}}}
		d := s.Environment.Deployments[current]
		d.Status, d.BakeStartedAt = environment.Running, now.Add(-10*time.Minute)
		s.Environment.Deployments[current] = d
		plan := Make(s)
		assert.Equal(t, want, plan.Progress.Status, "attempt %d", attempts)
		if want == environment.Running {
			assert.Equal(t, now.Add(9*time.Minute), plan.RequeueAt)
		}
	}
}

func TestAnInstanceWithNothingButDaemonsIsGivenUp(t *testing.T) {
	l := launch(environment.LaunchStarted, time.Hour, named("t1"))
	s := row{tasks: []environment.Task{task("t1", current, "RUNNING"), task("t2", "another", "RUNNING")}, launches: []environment.Launch{l}}.state()
	s.Environment.Revisions = []environment.Revision{{Number: 1, Spec: environment.Spec{TaskDefinition: agent2, ScaleInAfterMinutes: 20}}}
	s.DrainOrders = map[string]int{current: 0, "another": 0}
	step := func(after time.Duration) []string {
		s.Now = s.Now.Add(after)
		plan := Make(s)
		for _, a := range plan.Actions {
			switch a.Kind {
			case Record:
				s.Launches["i1"] = a.Launch
			case Start:
				a.Launch.NotAfter = s.Now
				s.Launches["i1"] = StartedLaunch(a.Launch, "t9")
				s.Tasks = append(s.Tasks, task("t9", current, "RUNNING"))
			case Stop:
				s.Tasks[0] = task(a.Task, current, "STOPPED")
			}
		}
		if len(plan.Actions) == 0 {
			assert.False(t, plan.RequeueAt.IsZero(), "it looks again in time")
		}
		return texts(plan.Actions)
	}
	const note = "record i1: The scale-in state of the instance changed."
	assert.Equal(t, []string{note}, step(0))
	assert.Empty(t, step(19*time.Minute))
	assert.Equal(t, []string{note}, step(time.Minute))
	assert.Equal(t, []string{"stop t1: blox: the instance is released for scale-in, environment logs"}, step(0))
	assert.Empty(t, step(29*time.Minute), "it stays away")
	assert.Equal(t, environment.Completed, Make(s).Progress.Status, "nothing is missing")
	assert.Equal(t, environment.InstanceExcluded, InstanceStatuses(s)[0].Phase)
	assert.Equal(t, []string{"start i1: Replacing a task that stopped."}, step(time.Minute), "the instance is still there, so the task comes back")
	assert.Equal(t, []string{note}, step(time.Second))

	s.Launches["i1"] = with1(s.Launches["i1"], func(l *environment.Launch) { l.ReleasedAt = s.Now })
	s.Tasks = append(s.Tasks, task("t5", "", "PENDING"))
	assert.Equal(t, []string{note}, step(0), "company ends it")
	assert.True(t, s.Launches["i1"].DaemonsOnlySince.IsZero())
	assert.True(t, s.Launches["i1"].ReleasedAt.IsZero())
}

func with1(l environment.Launch, change func(*environment.Launch)) environment.Launch {
	change(&l)
	return l
}

func TestForeseenWavesKeepToThePercentages(t *testing.T) {
	f := newFleet(t, 9, 20, environment.Spec{})
	stops := map[int]int{}
	for _, s := range DryRun(f.state) {
		if s.Action == "stop" {
			stops[s.Wave]++
			assert.True(t, strings.HasPrefix(s.Reason, "blox: superseded task"))
		}
	}
	total := 0
	for wave, n := range stops {
		assert.LessOrEqual(t, n, 2, "wave %d", wave)
		total += n
	}
	assert.Equal(t, 20, total)
}
