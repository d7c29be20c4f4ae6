package planner

import (
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// checkFailure checks that the circuit breaker trips only if it is enabled, for as many failures as it needs.
func (u *faultyFleet) checkFailure(plan Plan) {
	d, _ := u.state.Environment.Current()
	breaker := u.state.Environment.RevisionFor(d).Spec.DeploymentConfiguration.CircuitBreaker
	require.True(u.t, breaker.Enable, "seed %d: %s", u.seed, plan.FailureReason)
	require.GreaterOrEqual(u.t, u.failuresOf(plan.Deployment), max(1, breaker.Threshold),
		"seed %d: %s\n%s", u.seed, plan.FailureReason, u.recentLog(""))
}

// failuresOf returns how many of a deployment's starts ECS has refused, and how many of its tasks have crashed.
func (u *faultyFleet) failuresOf(deployment string) int {
	failures := u.refusals[deployment]
	for _, task := range u.tasks {
		failures += oneIf(task.StartedBy == deployment && task.StoppedReason == "it crashed")
	}
	return failures
}

// checkOrder checks that only users and failures change which deployment is current, and that a completed deployment
// stays completed, whatever the clocks of the replicas show.
func (u *faultyFleet) checkOrder(plan Plan) {
	d, _ := u.state.Environment.Current()
	require.Equal(u.t, u.expected, d.ID, "seed %d: another deployment is current\n%s", u.seed, u.recentLog("user"))
	if d.Status == environment.Completed {
		u.completed[d.ID] = true
		require.Empty(u.t, plan.FailureReason, "seed %d: a completed deployment fails", u.seed)
	}
	require.True(u.t, !u.completed[d.ID] || d.Status == environment.Completed,
		"seed %d: %s is no longer completed\n%s", u.seed, d.ID, u.recentLog(""))
}

// checkBake checks, by ECS's clock, that a deployment completes only after its bake time, whatever the clocks of the
// leaders show.
func (u *faultyFleet) checkBake(plan Plan) {
	d, deployed := u.state.Environment.Current()
	if !deployed || d.Status == environment.Completed || d.BakeStartedAt.IsZero() {
		return
	}
	began, known := u.bakeBegan[d.ID]
	if !known {
		began = u.ecsNow()
		u.bakeBegan[d.ID] = began
	}
	bakeTime := u.state.Environment.RevisionFor(d).Spec.DeploymentConfiguration.BakeTime()
	if plan.Progress.Baking && plan.Progress.Status == environment.Completed {
		require.GreaterOrEqual(u.t, u.ecsNow().Sub(began), bakeTime, "seed %d: %s has not baked\n%s",
			u.seed, d.ID, u.recentLog("user"))
	}
}

// expectCurrent makes the present current deployment the one that has to stay.
func (u *faultyFleet) expectCurrent() {
	d, _ := u.state.Environment.Current()
	u.expected = d.ID
}

// rules are the current deployment, and the one that instances outside a canary run.
type rules struct {
	current, previous environment.Deployment
	hasPrevious       bool
	canaryPending     bool
}

func (u *faultyFleet) rules() (r rules) {
	r.current, _ = u.state.Environment.Current()
	r.canaryPending = u.state.Environment.AwaitsPromotion()
	r.previous, r.hasPrevious = u.state.Environment.NewestCompleted()
	return r
}

// inCanary reports whether a query of the pending canary includes the instance; false as well if a step has a size.
func (u *faultyFleet) inCanary(r rules, i environment.Instance) (included, byQuery bool) {
	_, number, _, waits := u.state.Environment.CanaryStep(r.current)
	if !r.canaryPending || !waits {
		return false, false
	}
	canary := u.state.Environment.RevisionFor(r.current).Spec.DeploymentConfiguration.Canary
	for _, step := range canary.AllSteps()[:number] {
		if step.Query == "" {
			return false, false
		}
		selector, err := step.Selector()
		require.NoError(u.t, err)
		included = included || selector.Matches(i)
	}
	return included, true
}

// checkTarget checks that an action serves its instance by the instance's own target: the deployment that it is to run,
// and the revision of that.
func (u *faultyFleet) checkTarget(a Action) {
	i, present := u.instance(a.Instance)
	r := u.rules()
	included, byQuery := u.inCanary(r, i)
	because := []any{"seed %d: %s %s %s: %s\n%s", u.seed, a.Kind, a.Instance, a.Task, a.Reason, u.recentLog(a.Instance)}
	switch {
	case !present:
	case a.Kind == Start && a.Launch.Deployment == r.current.ID:
		require.True(u.t, u.selects(r.current, i), because...)
		require.True(u.t, included || !byQuery, because...)
	case a.Kind == Start:
		require.True(u.t, r.canaryPending && r.hasPrevious && a.Launch.Deployment == r.previous.ID, because...)
		require.True(u.t, u.selects(r.previous, i), because...)
		require.False(u.t, included && u.selects(r.current, i) && i.CanRunTasks(), because...)
	case a.Kind == Stop && a.StopReason == ReasonNotMatching && u.keepsPrevious(r, i):
		require.False(u.t, u.selects(r.previous, i), because...)
	case a.Kind == Stop && a.StopReason == ReasonNotMatching:
		excluded := !u.selects(r.current, i) || r.canaryPending && r.hasPrevious && !u.selects(r.previous, i)
		require.True(u.t, excluded, because...)
	case a.Kind == Stop && a.StopReason == ReasonSuperseded:
		by := u.shown(a.Task).StartedBy
		require.True(u.t, by != r.current.ID || r.canaryPending, because...)
		require.False(u.t, byQuery && !included && r.hasPrevious && by == r.previous.ID, because...)
	}
}

// keepsPrevious reports whether the instance is outside the pending canary for certain: the canary's query does not
// include it, or the current deployment has not begun there and its revision does not select it.
func (u *faultyFleet) keepsPrevious(r rules, i environment.Instance) bool {
	included, byQuery := u.inCanary(r, i)
	begun := u.state.Launches[i.ARN].Deployment == r.current.ID
	for _, task := range u.state.Tasks {
		begun = begun || task.Instance == i.ARN && task.StartedBy == r.current.ID
	}
	return r.canaryPending && r.hasPrevious && (byQuery && !included || !begun && !u.selects(r.current, i))
}

func (u *faultyFleet) instance(arn string) (i environment.Instance, present bool) {
	for _, i := range u.state.Instances {
		if i.ARN == arn {
			return i, true
		}
	}
	return i, false
}

// shown returns the task as the cluster state shows it.
func (u *faultyFleet) shown(arn string) environment.Task {
	for _, task := range u.state.Tasks {
		if task.ARN == arn {
			return task
		}
	}
	return environment.Task{}
}
