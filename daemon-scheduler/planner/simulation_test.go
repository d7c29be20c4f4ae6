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
	"github.com/blox/blox/daemon-scheduler/query"
)

const (
	token1, token2 = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
	newest         = "33333333-3333-4333-8333-333333333333"
)

// fleet has many instances with tasks, a cluster state that lags, and an executor that carries out a part of each
// plan.
type fleet struct {
	*rand.Rand
	t     *testing.T
	state State
	tasks map[string]environment.Task
	bad   func(deployment, instance string) bool // whether a task dies at once; nil for none
	full  map[string]bool                        // instances that refuse every start
	count int
	skew  time.Duration // of the leader's clock, which shows state.Now; positive: it is ahead of ECS's
	puts  int64         // of launch records
	bake  measuredBake
}

// ecsNow returns the time of ECS's clock.
func (f *fleet) ecsNow() time.Time { return f.state.Now.Add(-f.skew) }

// put writes a launch record.
func (f *fleet) put(launch environment.Launch) {
	f.puts++
	launch.StoredVersion = f.puts
	f.state.Launches[launch.Instance] = launch
}

// newFleet returns n instances that run the first revision, and a pending deployment of a second revision with spec.
func newFleet(t *testing.T, seed uint64, n int, spec environment.Spec) *fleet {
	t.Helper()
	f := &fleet{Rand: rand.New(rand.NewPCG(seed, 2)), t: t, tasks: map[string]environment.Task{}, full: map[string]bool{}}
	e := environment.Create(
		"logs",
		"arn:cluster",
		token1,
		environment.Spec{TaskDefinition: "arn:td:1"},
		now.Add(-time.Hour),
	)
	e, err := e.Deploy(earlier, token1, now.Add(-time.Hour))
	require.NoError(t, err)
	e, _ = e.RecordProgress(earlier, environment.Progress{Status: environment.Completed}, now.Add(-time.Hour))
	spec.TaskDefinition = "arn:td:2"
	e, err = e.Update(spec, token1, token2, now)
	require.NoError(t, err)
	e, err = e.Deploy(current, token2, now)
	require.NoError(t, err)
	f.state = State{
		Environment:         e,
		Launches:            map[string]environment.Launch{},
		Fresh:               true,
		StopRequestedAt:     map[string]time.Time{},
		Unconfirmed:         map[string]bool{},
		Now:                 now,
		StartConfirmTimeout: confirmTimeout,
	}
	for i := range n {
		arn := fmt.Sprintf("i%03d", i)
		f.state.Instances = append(f.state.Instances, environment.Instance{
			ARN: arn, Status: "ACTIVE", AgentConnected: true, Attributes: query.Map{"zone": string(rune('a' + i%3))},
		})
		task := f.start(arn, earlier)
		f.run(task)
	}
	f.copyTasks(1)
	return f
}

func (f *fleet) start(instance, deployment string) string {
	f.count++
	arn := fmt.Sprintf("t%05d", f.count)
	f.tasks[arn] = environment.Task{
		ARN:           arn,
		Instance:      instance,
		StartedBy:     deployment,
		LastStatus:    "PENDING",
		DesiredStatus: "RUNNING",
		CreatedAt:     f.ecsNow(),
	}
	return arn
}

func (f *fleet) run(arn string) {
	task := f.tasks[arn]
	task.LastStatus, task.StartedAt = "RUNNING", f.ecsNow()
	f.tasks[arn] = task
}

func (f *fleet) die(arn string) {
	task := f.tasks[arn]
	if !task.Stopping() {
		task.StoppedReason = "it crashed"
	}
	task.LastStatus, task.DesiredStatus, task.StoppedAt = "STOPPED", "STOPPED", f.ecsNow()
	f.tasks[arn] = task
}

// copyTasks copies each task into the cluster state with a probability of 1/of.
func (f *fleet) copyTasks(of int) {
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
	f.observe()
}

// observe measures, by the leader's clock, since when it has seen the tasks available, and how long the deployment has
// baked.
func (f *fleet) observe() {
	f.state.Availability = observed(f.state)
	d, rollsOut := f.state.Environment.InProgress()
	bake := measuredBake{id: d.ID, began: d.BakeStartedAt, restart: d.BakeRestart}
	switch {
	case !rollsOut || d.BakeStartedAt.IsZero():
		f.state.BakedFor = 0
		return
	case !bake.same(f.bake):
		bake.before, bake.since = time.Duration(d.BakedSeconds)*time.Second, f.state.Now
		f.bake = bake
	}
	f.state.BakedFor = f.bake.before + f.state.Now.Sub(f.bake.since)
}

// measuredBake is a bake time that the leader measures.
type measuredBake struct {
	id             string
	began, restart time.Time
	before         time.Duration
	since          time.Time
}

func (b measuredBake) same(other measuredBake) bool {
	return b.id == other.id && b.began.Equal(other.began) && b.restart.Equal(other.restart)
}

// observed returns the availability of a state's tasks, as the engine measures it.
func observed(s State) map[string]environment.Availability {
	next := map[string]environment.Availability{}
	for _, t := range s.Tasks {
		last, known := s.Availability[t.ARN]
		switch {
		case !t.Running():
		case known && last.Available == t.Available():
			next[t.ARN] = last
		default:
			next[t.ARN] = environment.Availability{Available: t.Available(), Since: s.Now}
		}
	}
	return next
}

// step lets some time pass, advances tasks, and carries out a part of the plan.
func (f *fleet) step() {
	f.pass()
	f.copyTasks(2)
	plan := Make(f.state)
	if plan.FailureReason != "" {
		f.state.Environment = f.state.Environment.Fail(plan.Deployment, plan.FailureReason, newest, allActive, f.state.Now)
		return
	}
	f.state.Environment, _ = f.state.Environment.RecordProgress(plan.Deployment, plan.Progress, f.state.Now)
	for _, a := range plan.Actions {
		if f.IntN(4) > 0 {
			f.do(a)
		}
	}
}

// pass lets some time pass, and advances tasks.
func (f *fleet) pass() {
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
}

func (f *fleet) do(a Action) {
	switch a.Kind {
	case Stop:
		if task, known := f.tasks[a.Task]; known && task.Live() && !task.Stopping() {
			task.DesiredStatus, task.StoppedReason = "STOPPED", a.Reason
			f.tasks[a.Task] = task
		}
		f.state.StopRequestedAt[a.Task] = f.state.Now
		if a.Launch.Instance != "" {
			a.Launch.NotAfter = f.state.Now.Add(environment.LaunchWindow)
			f.put(a.Launch)
		}
	case Start:
		a.Launch.NotAfter = f.state.Now.Add(environment.LaunchWindow)
		if f.full[a.Instance] {
			f.put(FailedLaunch(a.Launch, "RESOURCE:MEMORY", "", f.state.Now))
			return
		}
		f.put(StartedLaunch(a.Launch, f.start(a.Instance, a.Launch.Deployment)))
	case Confirm:
		var found []environment.Task
		for _, task := range f.tasks {
			if task.ARN == a.Launch.Task {
				found = append(found, task)
			}
		}
		f.put(ConfirmLaunch(a.Launch, found, f.state.Now))
	case Record:
		f.put(a.Launch)
	case Forget:
		delete(f.state.Launches, a.Instance)
	}
}

// running returns the number of instances with a running task, the number with two live tasks, and the number of live
// tasks of each deployment.
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

// allActive reports that ECS has every task definition as ACTIVE.
func allActive(string) bool { return true }
