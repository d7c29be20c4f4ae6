package engine

import (
	"maps"
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/ecsapi"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/internal/backoff"
)

// The time between two starts of a deployment that ECS refuses because of the deployment doubles from
// refusalRetryInitial to refusalRetryMax.
const (
	refusalRetryInitial = 2 * time.Second
	refusalRetryMax     = time.Minute
)

// startAnswers holds ECS's responses to the starts of one deployment. ECS may refuse all of them: it denies access
// to a role, or the task definition is inactive. Until ECS has accepted one, the leader therefore tries one instance at
// a time and stops no more than one task for the rollout.
type startAnswers struct {
	accepted bool             // ECS has executed one
	refusals *backoff.Backoff // not nil: ECS refused the last one because of the deployment
	retryAt  time.Time        // when to try again after a refusal
}

// recordStartAccepted records that ECS has executed a StartTask of the deployment.
func (l *leaderState) recordStartAccepted(name, deployment string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answersOf(name)[deployment] = startAnswers{accepted: true}
}

// recordStartRefused records that ECS refused a StartTask because of the deployment.
func (l *leaderState) recordStartRefused(name, deployment string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	answers := l.answersOf(name)[deployment]
	if answers.refusals == nil {
		answers.refusals = backoff.New(refusalRetryInitial, refusalRetryMax)
	}
	answers.retryAt = time.Now().Add(answers.refusals.Next())
	l.answersOf(name)[deployment] = answers
}

// startAnswers returns ECS's responses to the starts of the deployment during this term.
func (l *leaderState) startAnswers(name, deployment string) startAnswers {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.starts[name][deployment]
}

// answersOf returns the answers of an environment by deployment. The caller holds l.mu.
func (l *leaderState) answersOf(name string) map[string]startAnswers {
	if l.starts[name] == nil {
		l.starts[name] = map[string]startAnswers{}
	}
	return l.starts[name]
}

// forgetStarts removes the answers to the starts of deployments that the environment no longer has.
func (l *leaderState) forgetStarts(env environment.Environment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.starts[env.Name], func(id string, _ startAnswers) bool {
		_, kept := env.Deployments[id]
		return !kept
	})
}

// isAccepted reports whether ECS accepts starts of the deployment, as far as is known.
func (r *reconciliation) isAccepted(deployment string) bool {
	answers := r.leader.startAnswers(r.env.Name, deployment)
	if answers.accepted || answers.refusals != nil {
		return answers.refusals == nil
	}
	for _, l := range r.launches {
		if l.Deployment == deployment && l.State == environment.LaunchStarted {
			return true
		}
	}
	return slices.ContainsFunc(r.tasks, func(t environment.Task) bool { return t.StartedBy == deployment })
}

// permit returns the plan's actions without those that have to wait until ECS accepts starts of their deployment, and
// when the next start may be tried; zero if none waits for that.
func (r *reconciliation) permit(
	plan planner.Plan, stopRequestedAt map[string]time.Time, now time.Time,
) (permitted []planner.Action, retryAt time.Time) {
	r.leader.forgetStarts(r.env)
	refused := r.leader.startAnswers(r.env.Name, plan.Deployment).refusals != nil
	mayStop := r.mayStopForRollout(plan, stopRequestedAt)
	for _, a := range plan.Actions {
		var answers startAnswers
		if a.Kind == planner.Start {
			answers = r.leader.startAnswers(r.env.Name, a.Launch.Deployment)
			refused = refused || answers.refusals != nil
		}
		switch {
		case now.Before(answers.retryAt):
			retryAt = planner.Earliest(retryAt, answers.retryAt)
		case a.Kind == planner.Stop && a.StopReason == planner.ReasonSuperseded && !mayStop(a):
		default:
			permitted = append(permitted, a)
		}
	}
	if !refused { // the refused deployment is no longer in effect
		r.conditions.clear(r.env.Name, startConditions...)
	}
	return permitted, retryAt
}

// mayStopForRollout returns a function that reports whether a superseded task may be stopped.
func (r *reconciliation) mayStopForRollout(
	plan planner.Plan, stopRequestedAt map[string]time.Time,
) func(planner.Action) bool {
	if r.isAccepted(plan.Deployment) {
		return func(planner.Action) bool { return true }
	}
	refused := r.leader.startAnswers(r.env.Name, plan.Deployment).refusals != nil
	trial := refused || r.hasTrial(plan, stopRequestedAt)
	return func(a planner.Action) bool {
		replaced := slices.ContainsFunc(r.tasks, func(t environment.Task) bool {
			return t.Instance == a.Instance && t.StartedBy == plan.Deployment && t.Running()
		})
		if replaced || !refused && r.launches[a.Instance].State == environment.LaunchReplacing {
			return true // nothing is lost, or it is the trial itself
		}
		first := !trial
		trial = true
		return first
	}
}

// hasTrial reports whether a start of the deployment is planned or open, or a task is stopping to make room for one.
func (r *reconciliation) hasTrial(plan planner.Plan, stopRequestedAt map[string]time.Time) bool {
	for _, l := range r.launches {
		replacing := l.State == environment.LaunchReplacing && time.Now().Before(l.NotAfter.Add(stopRequestRetention))
		if l.Deployment == plan.Deployment && (replacing || l.State == environment.LaunchOpen) {
			return true
		}
	}
	stopping := func(t environment.Task) bool {
		_, requested := stopRequestedAt[t.ARN]
		return requested && t.Live() && t.StartedBy != plan.Deployment
	}
	return slices.ContainsFunc(r.tasks, stopping) || slices.ContainsFunc(plan.Actions, func(a planner.Action) bool {
		return a.Kind == planner.Start && a.Launch.Deployment == plan.Deployment
	})
}

// recordAnswer records the consequences of a StartTask for all starts of its deployment.
func (r *reconciliation) recordAnswer(deployment string, outcome ecsapi.Outcome) {
	switch {
	case outcome.Class == ecsapi.Succeeded:
		r.callFailures.Succeeded()
		r.leader.recordStartAccepted(r.env.Name, deployment)
		r.conditions.clear(r.env.Name, startConditions...)
	case outcome.Class == ecsapi.Rejected && outcome.Scope == ecsapi.ScopeDeployment:
		r.leader.recordStartRefused(r.env.Name, deployment)
		r.conditions.set(r.env.Name, conditionOf(outcome), outcome)
	case outcome.Scope == ecsapi.ScopeCaller && outcome.Err != nil:
		r.callFailed.Store(true)
	}
}
