package engine

import (
	"maps"
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/ecserrors"
)

// The time between two starts of a deployment that ECS rejects because of the deployment doubles from
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
		started := l.State == environment.LaunchStarted || l.State == environment.LaunchFailed && l.Task != ""
		if l.Deployment == deployment && started {
			return true
		}
	}
	return slices.ContainsFunc(r.tasks, func(t environment.Task) bool { return t.StartedBy == deployment })
}

// permit returns the plan's actions without those that have to wait until ECS accepts starts of their deployment, and
// when the next start or stop may be tried; zero if none waits for that.
func (r *reconciliation) permit(plan planner.Plan, now time.Time) (permitted []planner.Action, retryAt time.Time) {
	r.leader.forgetStarts(r.env)
	refused := r.leader.startAnswers(r.env.Name, plan.Deployment).refusals != nil || r.isRefused(plan.Deployment)
	unanswered := false             // a former leader's condition may still hold
	gates := map[string]startGate{} // by deployment id
	for _, a := range plan.Actions {
		if a.Kind != planner.Start && !a.MakesRoom() {
			permitted = append(permitted, a)
			continue
		}
		gate, known := gates[a.Launch.Deployment]
		if !known {
			gate = r.gateOf(a.Launch.Deployment, plan, now)
			gates[a.Launch.Deployment] = gate
		}
		refused = refused || gate.refusals != nil
		unanswered = unanswered || !gate.open && gate.refusals == nil
		switch {
		case now.Before(gate.retryAt):
			retryAt = planner.Earliest(retryAt, gate.retryAt)
		case a.Kind == planner.Start, gate.open, a.Task == gate.trial, gate.refusals == nil && !r.needsRecord(a):
			permitted = append(permitted, a)
		}
	}
	if !refused && !unanswered { // the refused deployment is no longer in effect
		r.conditions.clear(r.env.Name, startConditions...)
	}
	return permitted, retryAt
}

// isRefused reports whether ECS has refused the last start of the deployment on some instance because of the
// deployment.
func (r *reconciliation) isRefused(deployment string) bool {
	for _, l := range r.launches {
		if l.Refused && l.State == environment.LaunchFailed && l.Deployment == deployment {
			return true
		}
	}
	return false
}

// startGate shows which tasks may be stopped to make room for starts of one deployment.
type startGate struct {
	startAnswers
	open  bool   // all of them
	trial string // ARN of the one task whose stop makes room for the next try; empty if none
}

func (r *reconciliation) gateOf(deployment string, plan planner.Plan, now time.Time) startGate {
	gate := startGate{
		startAnswers: r.leader.startAnswers(r.env.Name, deployment), open: r.isAccepted(deployment),
	}
	if !gate.open && !r.isTrying(deployment, plan, now) {
		gate.trial = r.nextTrial(deployment, plan)
	}
	return gate
}

// nextTrial returns the ARN of the task to stop to try a start of the deployment: one whose replacement is recorded
// already, or else the first one; empty if the plan stops none.
func (r *reconciliation) nextTrial(deployment string, plan planner.Plan) (task string) {
	for _, a := range plan.Actions {
		switch {
		case !a.MakesRoom() || a.Launch.Deployment != deployment:
		case !r.needsRecord(a):
			return a.Task
		case task == "":
			task = a.Task
		}
	}
	return task
}

// isTrying reports whether one instance is trying a start of the deployment: the start is planned or open, its task is
// stopping to make room, or ECS refused the start there and the planner repeats it. The launch records show all of
// this, so that a new leader knows.
func (r *reconciliation) isTrying(deployment string, plan planner.Plan, now time.Time) bool {
	toStop := map[string]bool{} // by task ARN
	for _, a := range plan.Actions {
		if a.Kind == planner.Start && a.Launch.Deployment == deployment {
			return true
		}
		toStop[a.Task] = toStop[a.Task] || a.Kind == planner.Stop
	}
	for instance, l := range r.launches {
		if l.Deployment != deployment {
			continue
		}
		switch l.State {
		case environment.LaunchOpen:
			return true
		case environment.LaunchReplacing:
			if !toStop[l.Task] && (now.Before(l.NotAfter.Add(stopRequestRetention)) || r.isStopping(l.Task)) {
				return true
			}
		case environment.LaunchFailed:
			if l.Refused && r.canStartOn(instance) {
				return true
			}
		}
	}
	return false
}

// isStopping reports whether the task is live and stopping, or a recent call has requested so.
func (r *reconciliation) isStopping(task string) bool {
	_, requested := r.stopRequestedAt[task]
	return slices.ContainsFunc(r.tasks, func(t environment.Task) bool {
		return t.ARN == task && t.Live() && (requested || t.Stopping())
	})
}

// recordAnswer records the consequences of a StartTask, of announced launches, for all starts of their deployment.
func (r *reconciliation) recordAnswer(announced []environment.Launch, outcome ecserrors.Outcome) {
	deployment := announced[0].Deployment
	switch {
	case outcome.Class == ecserrors.Succeeded:
		r.callFailures.Succeeded()
		r.leader.recordStartAccepted(r.env.Name, deployment)
		r.conditions.clear(r.env.Name, startConditions...)
	case outcome.Class == ecserrors.Rejected && outcome.Scope == ecserrors.ScopeDeployment:
		r.leader.recordStartRefused(r.env.Name, deployment)
		r.conditions.set(r.env.Name, conditionOf(outcome), outcome)
	case outcome.Scope == ecserrors.ScopeCaller && outcome.Err != nil:
		r.callFailed.Store(true)
	}
}
