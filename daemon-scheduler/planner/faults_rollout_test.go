package planner

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/testenv"
)

// round lets some time pass and carries out a part of the plan; all of it if calm.
func (u *faultyFleet) round(calm bool) Plan {
	u.state.Now = u.state.Now.Add(time.Duration(1+u.IntN(5)) * time.Second)
	u.advanceTasks()
	u.copyTasks(map[bool]int{true: 1, false: 2}[calm])
	u.observeAgents()
	plan := u.planStep(u.observeLaunches())
	u.checkProgress(plan)
	u.checkOrder(plan)
	u.checkBake(plan)
	if plan.FailureReason != "" {
		u.checkFailure(plan)
		u.logf("%s failed: %s", plan.Deployment[:8], plan.FailureReason)
		u.state.Environment = u.state.Environment.Fail(plan.Deployment, plan.FailureReason, u.id(), allActive, u.state.Now)
		u.expectCurrent()
		return plan
	}
	u.state.Environment, _ = u.state.Environment.RecordProgress(plan.Deployment, plan.Progress, u.state.Now)
	if plan.Progress.Status == environment.Completed {
		clear(u.disrupted) // what has failed by then holds up nothing that comes after
	}
	actions := slices.Clone(plan.Actions)
	if !calm {
		u.Shuffle(len(actions), func(i, j int) { actions[i], actions[j] = actions[j], actions[i] })
		actions = actions[:u.IntN(len(actions)+1)]
	}
	for _, a := range actions {
		u.checkTarget(a)
	}
	for _, a := range u.permit(plan, actions) {
		u.apply(a, calm)
	}
	u.running() // never two live tasks of one deployment, nor three in all
	return plan
}

// selects reports whether the deployment's revision selects the instance.
func (u *faultyFleet) selects(d environment.Deployment, i environment.Instance) bool {
	selector, err := u.state.Environment.RevisionFor(d).Spec.Selector()
	require.NoError(u.t, err)
	return selector.Matches(i)
}

// checkProgress checks that the plan counts no more failures than there were, and completes only what is shown.
func (u *faultyFleet) checkProgress(plan Plan) {
	happened := u.failuresOf(plan.Deployment)
	require.LessOrEqual(u.t, plan.Progress.FailedTasks, happened, "seed %d\n%s", u.seed, u.recentLog(""))
	d, deployed := u.state.Environment.Current()
	if !deployed || d.Status == environment.Completed || plan.Progress.Status != environment.Completed {
		return
	}
	failed, shown := map[string]bool{}, map[string]bool{}
	for _, f := range plan.Failed {
		failed[f.Arn] = true
	}
	for _, task := range u.state.Tasks {
		ours := task.StartedBy == d.ID || u.state.Environment.Adopts(d, task.StartedBy)
		shown[task.Instance] = shown[task.Instance] || ours && task.Running()
	}
	for _, i := range u.state.Instances {
		lost, away := u.state.DisconnectedSince[i.ARN]
		if i.Status != statusActive || !u.selects(d, i) || away && u.state.Now.Sub(lost) >= unreachableGrace {
			continue
		}
		settled := u.state.Launches[i.ARN].Settled.Deployment == d.ID
		done := failed[i.ARN] || shown[i.ARN] && (settled || !away)
		require.True(u.t, done, "seed %d: completed without %s\n%s", u.seed, i.ARN, u.recentLog(i.ARN))
	}
}

func (u *faultyFleet) apply(a Action, calm bool) {
	e := u.state.Environment
	d, _ := e.Current()
	rules := e.RevisionFor(d).Spec.DeploymentConfiguration
	u.logf("%s %s %s: %s", a.Kind, a.Instance, a.Task, a.Reason)
	switch a.Kind {
	case Stop:
		u.recordDisruption(a, rules)
		u.fleet.do(a)
		u.ignoreIfMissing(a.Task)
	case Start:
		require.True(u.t, u.state.Fresh && !(e.Paused && e.PausedBy == ""), "started from a stale copy, or on pause")
		for _, task := range u.tasks {
			if task.Live() && task.Instance == a.Instance {
				_, doubled, _ := u.running()
				require.Less(
					u.t,
					doubled,
					rules.MaxSurge(len(u.state.Instances)),
					"seed %d: two live tasks on %s\n%s",
					u.seed,
					a.Instance,
					u.recentLog(""),
				)
			}
		}
		if !u.connected(a.Instance) {
			require.Fail(u.t, "started on a disconnected instance")
		}
		a.Launch.NotAfter = u.state.Now.Add(environment.LaunchWindow)
		if u.full[a.Instance] {
			u.refusals[a.Launch.Deployment]++
		}
		switch outcome := u.IntN(10); {
		case !calm && outcome == 0: // the answer is lost
			u.put(a.Launch)
			u.start(a.Instance, a.Launch.Deployment)
		case !calm && outcome == 1: // so is the question
			u.put(a.Launch)
		case !calm && outcome == 2: // ECS throttles the call, and the record is as it was
			u.restore(a.Instance)
		case !calm && outcome == 3: // ECS rejects the deployment
			u.refusals[a.Launch.Deployment] += oneIf(!u.full[a.Instance])
			refused := FailedLaunch(a.Launch, "AccessDeniedException", "", u.state.Now)
			refused.Refused = true
			u.put(refused)
		default:
			u.fleet.do(a)
		}
	case Confirm:
		var found []environment.Task
		for _, task := range u.tasks {
			if a.Launch.State == environment.LaunchStarted && task.ARN == a.Launch.Task ||
				a.Launch.State == environment.LaunchOpen && task.StartedBy == a.Launch.Deployment && task.Instance == a.Instance {
				found = append(found, task)
			}
		}
		u.put(ConfirmLaunch(a.Launch, found, u.state.Now))
	default:
		u.fleet.do(a)
	}
}

// restore writes an instance's launch record as it was before an announcement.
func (u *faultyFleet) restore(instance string) {
	if before, recorded := u.state.Launches[instance]; recorded {
		u.put(before)
	}
}

// recordDisruption records a stop of an instance's last running task, as far as the cluster state showed that. No
// more instances than may be unavailable can be disrupted at a time.
func (u *faultyFleet) recordDisruption(a Action, rules environment.DeploymentConfiguration) {
	if a.StopReason != ReasonSuperseded || !u.tasks[a.Task].Running() {
		return
	}
	for _, task := range u.state.Tasks {
		_, asked := u.state.StopRequestedAt[task.ARN]
		if task.Instance != a.Instance {
			continue
		}
		if task.ARN == a.Task && !task.Running() || task.ARN != a.Task && task.Running() && !asked {
			return
		}
	}
	u.disrupted[a.Instance] = true
	disrupted := 0
	for _, i := range u.state.Instances { // zone c does not match every revision
		if zone, _ := i.Attribute("zone"); u.disrupted[i.ARN] && i.Status == statusActive && zone != "c" {
			disrupted++
		}
	}
	require.LessOrEqual(
		u.t,
		disrupted,
		rules.MaxUnavailable(len(u.state.Instances)),
		"seed %d: %v have lost their running task\n%s",
		u.seed,
		slices.Sorted(maps.Keys(u.disrupted)),
		u.recentLog(""),
	)
}

// recentLog returns the last events, of one instance or of all.
func (u *faultyFleet) recentLog(on string) string {
	lines := u.history
	if on != "" {
		lines = slices.DeleteFunc(
			slices.Clone(lines),
			func(l string) bool { return !strings.Contains(l, on) && !strings.Contains(l, "user") },
		)
	}
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}

// converge stops all faults. The deployment must complete. Until then, every plan has actions or a time to plan
// again, or tasks are starting or stopping.
func (u *faultyFleet) converge() {
	u.injectFailures = false
	u.removePhantoms()
	clear(u.full)
	u.state.Fresh = true
	for i := range u.state.Instances {
		u.state.Instances[i].AgentConnected = true
		u.state.Instances[i].Status = statusActive
	}
	u.state.Environment, _ = u.state.Environment.Resume()
	if d, ok := u.state.Environment.InProgress(); ok {
		if promoted, err := u.state.Environment.PromoteFully(d.ID); err == nil {
			u.state.Environment = promoted
		}
	}
	for n := 0; ; n++ {
		require.Less(u.t, n, 400, "seed %d: no end: %v\n%s", u.seed, Make(u.state).Waits, u.recentLog(""))
		plan := u.round(true)
		if plan.FailureReason != "" { // for what failed before
			u.state.Environment, _ = u.state.Environment.Resume()
		}
		moving := false
		for _, task := range u.tasks {
			moving = moving || task.Live() && !task.Running()
		}
		if len(plan.Actions) > 0 || plan.FailureReason != "" || moving {
			continue
		}
		if plan.RequeueAt.After(u.state.Now) {
			u.state.Now = plan.RequeueAt
		}
		if plan.Progress.Status == environment.Completed && len(plan.Waits) == 0 {
			break
		}
		require.False(
			u.t,
			plan.RequeueAt.IsZero(),
			"seed %d: forgotten: %v, %v\n%s",
			u.seed,
			plan.Progress,
			plan.Waits,
			u.recentLog(""),
		)
	}
	d, _ := u.state.Environment.Current()
	on := map[string]int{}
	for _, task := range u.tasks {
		if task.Live() {
			require.True(u.t, task.StartedBy == d.ID || u.state.Environment.Adopts(d, task.StartedBy), "seed %d", u.seed)
			on[task.Instance]++
		}
	}
	for _, i := range u.state.Instances {
		want := oneIf(u.selects(d, i))
		require.Equal(u.t, want, on[i.ARN], "seed %d: %s\n%s", u.seed, i.ARN, u.recentLog(i.ARN))
	}
}

func TestRollout_KeepsItsRulesUnderFaults(t *testing.T) {
	count := uint64(150)
	if testenv.RaceEnabled {
		count = 40
	}
	for seed := range seeds(count) {
		rollOutUnderFaults(t, seed)
	}
}

// In each of these scenarios, a phantom once made a rollout stop one task too many, or a model of the engine did.
func TestRollout_KeepsItsRulesWherePhantomsOnceBrokeThem(t *testing.T) {
	for _, seed := range []uint64{3765, 6142, 8221} {
		rollOutUnderFaults(t, seed)
	}
}

func rollOutUnderFaults(t *testing.T, seed uint64) {
	u := newFaultyFleet(t, seed)
	for range 120 {
		for range u.IntN(3) {
			u.injectFault()
		}
		u.round(false)
	}
	u.converge()
	next, err := u.deploy()
	require.NoError(t, err)
	u.state.Environment = next
	u.expectCurrent()
	u.converge()
	for range 3 { // at rest, no clock undoes the last deployment
		u.changeLeader()
		u.round(true)
	}
}
