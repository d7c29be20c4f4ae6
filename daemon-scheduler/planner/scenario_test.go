package planner

import (
	"maps"
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/query"
)

const (
	current        = "22222222-2222-4222-8222-222222222222"
	earlier        = "11111111-1111-4111-8111-111111111111"
	foreign        = "99999999-9999-4999-8999-999999999999"
	agent2         = "arn:aws:ecs:us-east-1:123456789012:task-definition/agent:2"
	confirmTimeout = 30 * time.Second
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// scenario is a state, mostly of the instance i1, and the expected plan.
type scenario struct {
	instances       []environment.Instance // i1, ACTIVE and connected, when nil
	tasks           []environment.Task
	launches        []environment.Launch
	stopRequestedAt map[string]time.Time
	improvedAgo     time.Duration // how long ago i1 changed for the better; 0: never
	stale           bool
	status          environment.Status // of the current deployment; Running when nothing is said
	notDeployed     bool               // nothing is deployed
	legacyFailures  []environment.FailedInstance

	want       []string // "<kind> <task or instance>: <reason>"
	waits      []string // "<instance>: <reason>"
	requeueIn  time.Duration
	wantStatus environment.Status
	health     environment.Health
	failed     []environment.FailedInstance
	next       []string // what planning again finds when all of it is done: nothing, but for what had to be known first
}

func (r scenario) state() State {
	s := State{
		Environment:         environment.New("logs", "arn:aws:ecs:us-east-1:123456789012:cluster/prod", agent2, "token"),
		Launches:            map[string]environment.Launch{},
		Fresh:               !r.stale,
		Instances:           r.instances,
		Tasks:               r.tasks,
		StopRequestedAt:     r.stopRequestedAt,
		Now:                 now,
		StartConfirmTimeout: confirmTimeout,
	}
	if s.Instances == nil {
		s.Instances = []environment.Instance{active("i1")}
	}
	if r.improvedAgo != 0 {
		s.ImprovedAt = map[string]time.Time{"i1": now.Add(-r.improvedAgo)}
	}
	s.Availability = map[string]environment.Availability{}
	for _, t := range r.tasks { // this replica has seen them run from the beginning
		if t.Running() {
			since := t.StartedAt
			if since.IsZero() {
				since = t.CreatedAt
			}
			s.Availability[t.ARN] = environment.Availability{Available: t.Available(), Since: since}
		}
	}
	for _, l := range r.launches {
		s.Launches[l.Instance] = l
	}
	if !r.notDeployed {
		s.Environment.Deployments[earlier] = environment.Deployment{
			ID: earlier, Status: environment.Completed, TaskDefinition: "agent:1", StartTime: now.Add(-48 * time.Hour),
		}
		s.Environment.Deployments[current] = environment.Deployment{
			ID: current, Status: r.status, TaskDefinition: agent2, StartTime: now.Add(-24 * time.Hour),
			FailedInstances: r.legacyFailures,
		}
	}
	return s
}

func active(arn string) environment.Instance {
	return environment.Instance{ARN: arn, Status: "ACTIVE", AgentConnected: true}
}

func on(status string, instances ...string) (of []environment.Instance) {
	for _, arn := range instances {
		of = append(of, environment.Instance{ARN: arn, Status: status, AgentConnected: true})
	}
	return of
}

func task(arn, startedBy, status string) environment.Task {
	t := environment.Task{
		ARN: arn, Instance: "i1", StartedBy: startedBy, LastStatus: status, DesiredStatus: "RUNNING",
		CreatedAt: now.Add(-10 * time.Minute),
	}
	if status == "STOPPED" {
		t.DesiredStatus, t.StoppedReason, t.StoppedAt = "STOPPED", "it crashed", now.Add(-time.Second)
	}
	return t
}

func with(t environment.Task, change func(*environment.Task)) environment.Task {
	change(&t)
	return t
}

func stopping(t *environment.Task) { t.DesiredStatus = "STOPPED" }

func ran(d time.Duration) func(*environment.Task) {
	return func(t *environment.Task) { t.StartedAt = t.StoppedAt.Add(-d) }
}

// launch returns a launch record of the current deployment on i1 that was written ago.
func launch(state environment.LaunchState, ago time.Duration, changes ...func(*environment.Launch)) environment.Launch {
	l := environment.Launch{
		Instance: "i1", Deployment: current, TaskDefinition: agent2, State: state, Attempts: 1, StoredVersion: 7,
		NotAfter: now.Add(environment.LaunchWindow - ago),
	}
	for _, change := range changes {
		change(&l)
	}
	return l
}

func of(deployment string) func(*environment.Launch) {
	return func(l *environment.Launch) { l.Deployment = deployment }
}

func named(task string) func(*environment.Launch) {
	return func(l *environment.Launch) { l.Task = task }
}

func attempt(n int) func(*environment.Launch) {
	return func(l *environment.Launch) { l.Attempts = n }
}

func because(reason string, next time.Duration) func(*environment.Launch) {
	return func(l *environment.Launch) { l.Reason, l.NextAttemptAt = reason, now.Add(next) }
}

// failedLaunch returns a launch record that was written ago, whose n-th attempt failed for the reason.
func failedLaunch(reason string, n int, ago time.Duration) environment.Launch {
	l := environment.Launch{
		Instance:       "i1",
		Deployment:     current,
		TaskDefinition: agent2,
		State:          environment.LaunchOpen,
		Attempts:       n,
		Failures:       n - 1,
		StoredVersion:  7,
		NotAfter:       now.Add(environment.LaunchWindow - ago),
	}
	return FailedLaunch(l, reason, "", now.Add(-ago))
}

// done returns s after the plan was carried out without failures.
func done(s State, plan Plan) State {
	s.Tasks, s.Launches = slices.Clone(s.Tasks), maps.Clone(s.Launches)
	s.StopRequestedAt = maps.Clone(s.StopRequestedAt)
	if s.StopRequestedAt == nil {
		s.StopRequestedAt = map[string]time.Time{}
	}
	s.Environment, _ = s.Environment.RecordProgress(plan.Deployment, plan.Progress, s.Now)
	for _, a := range plan.Actions {
		switch a.Kind {
		case Start:
			a.Launch.NotAfter = s.Now.Add(environment.LaunchWindow)
			s.Launches[a.Instance] = StartedLaunch(a.Launch, "new on "+a.Instance)
		case Stop:
			s.StopRequestedAt[a.Task] = s.Now
			if a.Launch.Instance != "" {
				s.Launches[a.Instance] = a.Launch
			}
		case Confirm:
			s.Launches[a.Instance] = ConfirmLaunch(a.Launch, []environment.Task{{ARN: "found", LastStatus: "RUNNING"}}, s.Now)
		case Record:
			s.Launches[a.Instance] = a.Launch
		case Forget:
			delete(s.Launches, a.Instance)
		}
	}
	return s
}

func texts(actions []Action) (all []string) {
	for _, a := range actions {
		what := a.Instance
		if a.Kind == Stop {
			what = a.Task
		}
		all = append(all, string(a.Kind)+" "+what+": "+a.Reason)
	}
	return all
}

// at returns the task on another instance.
func at(instance string, t environment.Task) environment.Task {
	t.Instance = instance
	return t
}

// only returns the scenario's state with a query for the current deployment.
func only(r scenario, query string) State {
	s := r.state()
	d := s.Environment.Deployments[current]
	d.Revision = 2
	s.Environment.Deployments[current] = d
	s.Environment.Revisions = []environment.Revision{
		{Number: 1, Spec: environment.Spec{TaskDefinition: "agent:1"}},
		{Number: 2, Spec: environment.Spec{TaskDefinition: agent2, Query: query}},
	}
	return s
}

func in(zone string, i environment.Instance) environment.Instance {
	i.Attributes = query.Map{"zone": zone}
	return i
}
