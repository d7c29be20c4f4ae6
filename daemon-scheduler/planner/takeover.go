package planner

import (
	"strings"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// A takeover moves the tasks of a DAEMON service of ECS to an environment, instance by instance. Blox sets an
// attribute on an instance, and ECS then stops the service's task there. With START_FIRST the environment's task is
// available before that; with STOP_FIRST the service's task has stopped before the environment's starts.

// resourceReason begins the reasons of starts that failed because the instance has no room for the task.
const resourceReason = "RESOURCE:"

// state returns the state of the environment's takeover; empty without one.
func takeoverState(e environment.Environment) environment.TakeoverState {
	if e.Takeover == nil {
		return ""
	}
	return e.Takeover.State
}

// stopsServiceFirst reports whether the service's task has to stop before the environment's can start on an instance,
// given the launch there.
func stopsServiceFirst(t *environment.Takeover, launch environment.Launch) bool {
	return t.Order == environment.StopFirst ||
		launch.State == environment.LaunchFailed && strings.HasPrefix(launch.Reason, resourceReason)
}

// stopsServices reports whether the service's tasks of a takeover stop first on all instances. Its attributes limit
// then how many instances the deployment begins on: they lack a task from that moment.
func stopsServices(e environment.Environment) bool {
	return takeoverState(e) == environment.TakeoverMoving && e.Takeover.Order == environment.StopFirst
}

// waitsForService reports whether the instance has to wait until ECS has stopped the service's task there.
func waitsForService(f *facts, i *instanceState) bool {
	_, occupied := f.ServiceTasks[i.ARN]
	return takeoverState(f.Environment) == environment.TakeoverMoving && occupied && len(i.live) == 0 &&
		stopsServiceFirst(f.Environment.Takeover, i.launch)
}

// isTakeoverComplete reports whether the service has no task left and every instance has the environment's.
func isTakeoverComplete(f *facts, instances []*instanceState, progress environment.Progress) bool {
	if takeoverState(f.Environment) != environment.TakeoverMoving || !f.Fresh || len(f.ServiceTasks) > 0 ||
		progress.Status != environment.Completed {
		return false
	}
	for _, i := range instances {
		if i.schedulable && !(i.hasKept && f.staysAvailable(i.kept)) {
			return false
		}
	}
	return true
}

// planHandBack returns the plan of a takeover that was cancelled: nothing is started, and the environment's task on
// an instance is stopped once the service's runs there. Where both cannot run together, the environment's task stops
// first, on as many instances at a time as the rollout budget allows to be without a task.
func planHandBack(f *facts, instances []*instanceState) Plan {
	plan := newPlan(f)
	plan.Progress = environment.Progress{
		Status: f.current().Status, Health: f.current().Health, LegacyFailures: f.current().FailedInstances,
	}
	matching, without := 0, 0
	for _, i := range instances {
		if i.matches && i.CanRunTasks() {
			matching++
			if !i.hasRunning && !f.ServiceTasks[i.ARN].Running() {
				without++
			}
		}
	}
	remaining := f.targets.current.spec.DeploymentConfiguration.MaxUnavailable(matching) - without
	for _, i := range instances {
		plan.Counts = plus(plan.Counts, countTasks(i.kept, i.hasKept, len(i.duplicates)+len(i.superseded) > 0))
		service, occupied := f.ServiceTasks[i.ARN]
		switch {
		case i.isOpen():
			plan = plan.with(i.ARN, awaitConfirmation(f, i.launch, i.kept))
		case len(i.live) == 0:
		case service.Running() || i.Status == statusDraining && i.daemonsOnly:
			plan = plan.with(i.ARN, f.stop(i.live, ReasonHandBack))
		case f.Environment.Takeover.Order == environment.StopFirst && !occupied && remaining > 0:
			remaining--
			plan = plan.with(i.ARN, f.stop(i.live, ReasonHandBack))
		default:
			plan = plan.with(i.ARN, waitFor(waitHandBack))
		}
	}
	if !f.Fresh {
		plan.RequeueAt = Earliest(plan.RequeueAt, f.Now.Add(staleRecheck))
	}
	return plan
}

// markTakeovers adds to ready, by attribute, the takeover attributes that instances are to have: those that have it,
// those where the environment's task is available, and, where the service's task has to stop first, as many more as
// the rollout budget allows to be without a task. A pause, also that of a failed deployment, holds those.
func markTakeovers(s ReadinessState, present []environment.Instance) (marks map[string]map[string]bool) {
	marks = map[string]map[string]bool{}
	for _, e := range s.Environments {
		if e.Takeover.MarksInstances() && !e.IsDeleting() {
			marks[e.TakeoverAttribute()] = marksOf(s, e, present)
		}
	}
	return marks
}

// marksOf returns the instances that are to have the environment's takeover attribute, by ARN.
func marksOf(s ReadinessState, e environment.Environment, present []environment.Instance) map[string]bool {
	t := newTargets(e)
	available, begun, marked := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, task := range s.Tasks {
		if _, ours := e.Deployments[task.StartedBy]; ours && task.Available() {
			available[task.Instance] = true
		}
		begun[task.Instance] = begun[task.Instance] || task.StartedBy == t.current.ID && task.Live()
	}
	for _, a := range s.Attributes {
		if a.Name == e.TakeoverAttribute() && a.State != environment.AttributeRemoved {
			marked[a.Instance] = true
		}
	}
	var waiting []string
	matching, without, running, failed := 0, 0, 0, 0
	assigned := t.assign(present, func(arn string) bool {
		return begun[arn] || s.Launches[e.Name][arn].Deployment == t.current.ID
	})
	for n, i := range present {
		launch := s.Launches[e.Name][i.ARN]
		if !i.CanRunTasks() || !t.current.selector.Matches(i) {
			continue
		}
		matching++
		switch {
		case available[i.ARN]:
			marked[i.ARN] = true
			running++
		case marked[i.ARN]:
			without++
			failed += oneIf(launch.Reason != "")
		case assigned[n] == nil: // its task would not start before the canary is promoted
		case stopsServiceFirst(e.Takeover, launch):
			waiting = append(waiting, i.ARN)
		}
	}
	remaining := t.current.spec.DeploymentConfiguration.MaxUnavailable(matching) - without
	if startsSlowly(e) && stopsServices(e) {
		remaining = min(remaining, slowStartLimit(running)-running-(without-failed))
	}
	if !e.Paused && remaining > 0 {
		for _, arn := range waiting[:min(remaining, len(waiting))] {
			marked[arn] = true
		}
	}
	return marked
}
