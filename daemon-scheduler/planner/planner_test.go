package planner

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

const (
	current = "22222222-2222-4222-8222-222222222222"
	earlier = "11111111-1111-4111-8111-111111111111"
	foreign = "99999999-9999-4999-8999-999999999999"
	agent2  = "arn:aws:ecs:us-east-1:123456789012:task-definition/agent:2"
	settle  = 30 * time.Second
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// row is a situation on the instance i1, and what is to be done about it.
type row struct {
	instances []environment.Instance // i1, ACTIVE and connected, when nil
	tasks     []environment.Task
	launches  []environment.Launch
	asked     map[string]time.Time
	better    time.Duration // how long ago i1 changed for the better; 0: never
	stale     bool
	status    environment.Status // of the current deployment; Running when nothing is said
	noneYet   bool               // nothing is deployed
	carried   []environment.FailedInstance

	want   []string // "<kind> <task or instance>: <reason>"
	waits  []string // "<instance>: <reason>"
	until  time.Duration
	shows  environment.Status
	health environment.Health
	failed []environment.FailedInstance
	next   []string // what planning again finds when all of it is done: nothing, but for what had to be known first
}

func (r row) state() State {
	s := State{
		Environment: environment.New("logs", "arn:aws:ecs:us-east-1:123456789012:cluster/prod", agent2, "token"),
		Launches:    map[string]environment.Launch{},
		Fresh:       !r.stale, Instances: r.instances, Tasks: r.tasks, StopRequestedAt: r.asked, Now: now, StartConfirmTimeout: settle,
	}
	if s.Instances == nil {
		s.Instances = []environment.Instance{active("i1")}
	}
	if r.better != 0 {
		s.ImprovedAt = map[string]time.Time{"i1": now.Add(-r.better)}
	}
	for _, l := range r.launches {
		s.Launches[l.Instance] = l
	}
	if !r.noneYet {
		s.Environment.Deployments[earlier] = environment.Deployment{
			ID: earlier, Status: environment.Completed, TaskDefinition: "agent:1", StartTime: now.Add(-48 * time.Hour),
		}
		s.Environment.Deployments[current] = environment.Deployment{
			ID: current, Status: r.status, TaskDefinition: agent2, StartTime: now.Add(-24 * time.Hour),
			FailedInstances: r.carried,
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

// launch was announced ago, on i1, for the current deployment.
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

// failedLaunch was announced ago and failed for the reason, for the n-th time.
func failedLaunch(reason string, n int, ago time.Duration) environment.Launch {
	l := environment.Launch{
		Instance: "i1", Deployment: current, TaskDefinition: agent2, State: environment.LaunchOpen, Attempts: n, StoredVersion: 7,
		NotAfter: now.Add(environment.LaunchWindow - ago),
	}
	return FailedLaunch(l, reason, "", now.Add(-ago))
}

// A failed start is tried again at once when its instance has changed since; one that keeps failing so, a little later each time.
func TestAFailedStartIsTriedAgainWhenItsInstanceChanges(t *testing.T) {
	for name, tc := range map[string]struct {
		launch environment.Launch
		better time.Duration // ago
		want   string
		until  time.Duration
	}{
		"nothing has changed":            {failedLaunch("RESOURCE:MEMORY", 1, 2*time.Second), 0, "", 8 * time.Second},
		"it has changed since":           {failedLaunch("RESOURCE:MEMORY", 1, 2*time.Second), time.Second, "start i1: Retrying, as the instance has changed since the last failure.", 0},
		"it had changed before the try":  {failedLaunch("RESOURCE:MEMORY", 1, 2*time.Second), 3 * time.Second, "", 8 * time.Second},
		"it has changed at once":         {failedLaunch("AGENT", 1, 400*time.Millisecond), 100 * time.Millisecond, "", 600 * time.Millisecond},
		"it keeps changing":              {failedLaunch("RESOURCE:PORTS", 4, 2*time.Second), time.Second, "", 6 * time.Second},
		"what keeps dying is no failure": {failedLaunch("STOPPED", 1, 2*time.Second), time.Second, "", 8 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			plan := Make(row{launches: []environment.Launch{tc.launch}, better: tc.better}.state())
			if tc.want == "" {
				assert.Empty(t, plan.Actions)
				assert.Equal(t, now.Add(tc.until), plan.RequeueAt)
				return
			}
			if assert.Len(t, plan.Actions, 1) {
				a := plan.Actions[0]
				assert.Equal(t, tc.want, string(a.Kind)+" "+a.Instance+": "+a.Reason)
				assert.Equal(t, tc.launch.Attempts+1, a.Launch.Attempts)
			}
		})
	}
}

func TestMake(t *testing.T) {
	const start = "start i1: The instance has no task of the deployment."
	running, failedNow := task("t1", current, "RUNNING"), []environment.FailedInstance{{Arn: "i1", Reason: "RESOURCE:PORTS"}}
	for name, tc := range map[string]row{
		"nothing deployed: nothing is done": {noneYet: true},
		"an empty instance gets a task":     {want: []string{start}, shows: environment.Running},
		"a pending deployment is taken up":  {status: environment.Pending, want: []string{start}, shows: environment.Running},
		"every able instance gets a task": {
			instances: []environment.Instance{active("i2"), active("i1")},
			want:      []string{start, "start i2: The instance has no task of the deployment."}, shows: environment.Running,
		},
		"an instance whose agent is disconnected is waited for": {
			instances: []environment.Instance{{ARN: "i1", Status: "ACTIVE"}},
			waits:     []string{"i1: The ECS agent on this instance is disconnected."}, shows: environment.Completed,
		},
		"nothing is started on a DRAINING instance": {
			instances: on("DRAINING", "i1"),
			waits:     []string{"i1: The instance is DRAINING."}, shows: environment.Completed,
		},
		"nothing is started on a REGISTERING instance": {
			instances: on("REGISTERING", "i1"),
			waits:     []string{"i1: The instance is REGISTERING."}, shows: environment.Completed,
		},
		"an INACTIVE instance has left": {instances: on("INACTIVE", "i1"), shows: environment.Completed},
		"the task on a DRAINING instance stays while there are others": {
			instances: on("DRAINING", "i1"), tasks: []environment.Task{running, task("t2", foreign, "RUNNING")}, shows: environment.Completed,
			waits: []string{"i1: The instance is draining; other tasks still run on it."},
		},
		"it stops when it is the last, for the drain to end": {
			instances: on("DRAINING", "i1"), tasks: []environment.Task{running, task("t2", foreign, "STOPPED")},
			want: []string{"stop t1: blox: the instance is draining, environment logs"}, until: time.Minute, shows: environment.Completed,
		},
		"an earlier task on a DRAINING instance stays like its own, as nothing could replace it": {
			instances: on("DRAINING", "i1"), tasks: []environment.Task{task("t1", earlier, "RUNNING"), task("t2", foreign, "PENDING")},
			waits: []string{"i1: The instance is draining; other tasks still run on it."}, shows: environment.Completed,
		},
		"an empty cluster completes": {instances: []environment.Instance{}, shows: environment.Completed},
		"completed when RUNNING":     {tasks: []environment.Task{running}, shows: environment.Completed},
		"not completed while PENDING": {
			tasks: []environment.Task{task("t1", current, "PENDING")}, shows: environment.Running,
		},
		"not completed by a task that is being stopped": {
			tasks: []environment.Task{with(running, stopping)}, shows: environment.Running,
		},
		"completed with one RUNNING and one failed": {
			instances: []environment.Instance{active("i1"), active("i2")},
			tasks:     []environment.Task{with(running, func(t *environment.Task) { t.Instance = "i2" })},
			launches:  []environment.Launch{launch(environment.LaunchFailed, time.Minute, because("RESOURCE:PORTS", time.Minute))},
			waits:     []string{"i1: Backing off after a failure: RESOURCE:PORTS"}, until: time.Minute,
			shows: environment.Completed, health: environment.Unhealthy, failed: failedNow,
		},
		"with only failures it goes on running": {
			launches: []environment.Launch{launch(environment.LaunchFailed, time.Minute, because("RESOURCE:PORTS", time.Minute))},
			waits:    []string{"i1: Backing off after a failure: RESOURCE:PORTS"}, until: time.Minute,
			shows: environment.Running, health: environment.Unhealthy, failed: failedNow,
		},
		"a failure is retried when its time has come, and stays listed": {
			launches: []environment.Launch{launch(environment.LaunchFailed, time.Minute, because("RESOURCE:PORTS", 0))},
			want:     []string{"start i1: Retrying after a failed attempt."},
			shows:    environment.Running, health: environment.Unhealthy, failed: failedNow,
		},
		"an instance that has its task has not failed": {
			tasks:    []environment.Task{running},
			launches: []environment.Launch{launch(environment.LaunchFailed, time.Minute, because("RESOURCE:PORTS", time.Minute))},
			want:     []string{"record i1: The task was found."}, shows: environment.Completed,
		},
		"a failure of an earlier deployment does not hold back the next": {
			launches: []environment.Launch{launch(environment.LaunchFailed, time.Minute, of(earlier), because("AGENT", time.Minute))},
			want:     []string{start}, shows: environment.Running,
		},
		"a failure that v0.3 noted stays listed until it is tried again": {
			carried: failedNow, want: []string{start},
			shows: environment.Running, health: environment.Unhealthy, failed: failedNow,
		},
		"a failure that v0.3 noted is over when the task is there": {
			carried: failedNow, tasks: []environment.Task{running}, shows: environment.Completed,
		},
		"the record of an instance that left is forgotten": {
			instances: []environment.Instance{},
			launches:  []environment.Launch{launch(environment.LaunchStarted, time.Hour, named("t1"))},
			want:      []string{"forget i1: The instance left the cluster."}, shows: environment.Completed,
		},
		"but not while it is open": {
			instances: []environment.Instance{}, launches: []environment.Launch{launch(environment.LaunchOpen, 0)},
			until: 40 * time.Second, shows: environment.Completed,
		},

		"an earlier deployment's task is stopped first": {
			tasks: []environment.Task{task("t1", earlier, "RUNNING")},
			want:  []string{"stop t1: blox: superseded task of environment logs"},
			until: time.Minute, shows: environment.Running,
		},
		"and waited for": {
			tasks: []environment.Task{with(task("t1", earlier, "RUNNING"), stopping)},
			waits: []string{"i1: The old task has not stopped yet."}, shows: environment.Running,
		},
		"and waited for before ECS shows it": {
			tasks: []environment.Task{task("t1", earlier, "RUNNING")},
			asked: map[string]time.Time{"t1": now.Add(-10 * time.Second)},
			waits: []string{"i1: The old task has not stopped yet."}, until: 50 * time.Second, shows: environment.Running,
		},
		"and asked again after a minute": {
			tasks: []environment.Task{task("t1", earlier, "RUNNING")},
			asked: map[string]time.Time{"t1": now.Add(-time.Minute)},
			want:  []string{"stop t1: blox: superseded task of environment logs"},
			until: time.Minute, shows: environment.Running,
		},
		"once it has STOPPED the new one starts": {
			tasks: []environment.Task{task("t1", earlier, "STOPPED")}, want: []string{start}, shows: environment.Running,
		},
		"an earlier deployment's task beside the current one is stopped": {
			tasks: []environment.Task{running, task("t2", earlier, "PENDING")},
			want:  []string{"stop t2: blox: superseded task of environment logs"},
			until: time.Minute, shows: environment.Running,
		},
		"of two tasks the RUNNING one is kept": {
			tasks: []environment.Task{with(task("t0", current, "PENDING"), func(t *environment.Task) { t.CreatedAt = now.Add(-time.Hour) }), running},
			want:  []string{"stop t0: blox: duplicate task of environment logs"},
			until: time.Minute, shows: environment.Completed,
		},
		"of two RUNNING tasks the oldest is kept": {
			tasks: []environment.Task{with(task("t0", current, "RUNNING"), func(t *environment.Task) { t.CreatedAt = now.Add(-time.Minute) }), running},
			want:  []string{"stop t0: blox: duplicate task of environment logs"},
			until: time.Minute, shows: environment.Completed,
		},
		"of tasks of one age the first by ARN is kept": {
			tasks: []environment.Task{task("t2", current, "RUNNING"), running},
			want:  []string{"stop t2: blox: duplicate task of environment logs"},
			until: time.Minute, shows: environment.Completed,
		},
		"a task that is being stopped is not the one to keep": {
			tasks: []environment.Task{with(task("t0", current, "RUNNING"), stopping), task("t1", current, "PENDING")},
			shows: environment.Running,
		},
		"a task that is being stopped still occupies the instance": {
			tasks: []environment.Task{with(running, stopping)}, shows: environment.Running,
		},
		"tasks that Blox did not start are left alone": {
			tasks: []environment.Task{task("t1", foreign, "RUNNING"), task("t2", "", "RUNNING"), task("t3", current, "RUNNING")},
			shows: environment.Completed,
		},
		"tasks on instances that left are left alone": {
			instances: on("INACTIVE", "i1"), tasks: []environment.Task{task("t1", earlier, "RUNNING")},
			shows: environment.Completed,
		},
		"nothing is started while the copy of the cluster is stale": {
			stale: true, waits: []string{"i1: The cluster state is not up to date."}, until: time.Second,
			shows: environment.Pending,
		},
		"nothing is stopped while the copy of the cluster is stale": {
			stale: true, tasks: []environment.Task{task("t1", earlier, "RUNNING"), running, task("t2", current, "RUNNING")},
			waits: []string{"i1: The cluster state is not up to date."}, until: time.Second, shows: environment.Pending,
		},

		"an empty copy that is stale does not complete": {
			stale: true, instances: []environment.Instance{}, until: time.Second, shows: environment.Pending,
		},

		"an open launch occupies the instance": {
			launches: []environment.Launch{launch(environment.LaunchOpen, 0)},
			waits:    []string{"i1: StartTask was not answered yet."}, until: 40 * time.Second, shows: environment.Running,
		},
		"an open launch of an earlier deployment does so too": {
			launches: []environment.Launch{launch(environment.LaunchOpen, 39*time.Second, of(earlier))},
			waits:    []string{"i1: StartTask was not answered yet."}, until: time.Second, shows: environment.Running,
		},
		"an open launch is checked once ECS may be believed": {
			launches: []environment.Launch{launch(environment.LaunchOpen, 40*time.Second)},
			want:     []string{"confirm i1: StartTask was not answered; checking with ECS."}, shows: environment.Running,
		},
		"an open launch of a deleted environment is checked too": {
			launches: []environment.Launch{launch(environment.LaunchOpen, 40*time.Second, of(foreign))},
			want:     []string{"confirm i1: StartTask was not answered; checking with ECS."}, shows: environment.Running, next: []string{start},
		},
		"an open launch stays open while its call may be on the way, though a task is there": {
			launches: []environment.Launch{launch(environment.LaunchOpen, 20*time.Second)}, tasks: []environment.Task{running},
			waits: []string{"i1: StartTask was not answered yet."}, until: 20 * time.Second, shows: environment.Completed,
		},
		"an open launch whose task is there needs no check": {
			launches: []environment.Launch{launch(environment.LaunchOpen, 40*time.Second)}, tasks: []environment.Task{running},
			want: []string{"record i1: The task was found."}, shows: environment.Completed,
		},
		"a settled launch of a deleted environment is in nobody's way": {
			launches: []environment.Launch{launch(environment.LaunchStarted, time.Second, of(foreign), named("t9"))},
			want:     []string{start}, shows: environment.Running,
		},
		"a started task that is not seen yet occupies the instance": {
			launches: []environment.Launch{launch(environment.LaunchStarted, 10*time.Second, named("t1"))},
			waits:    []string{"i1: The task has not appeared in the cluster state yet."}, until: 30 * time.Second, shows: environment.Running,
		},
		"a started task that was never seen is asked for": {
			launches: []environment.Launch{launch(environment.LaunchStarted, 40*time.Second, named("t1"))},
			want:     []string{"confirm i1: The task has not appeared in the cluster state; checking with ECS."}, shows: environment.Running,
		},
		"but not again and again": {
			launches: []environment.Launch{launch(environment.LaunchStarted, time.Minute, named("t1"), because("", 12*time.Second))},
			waits:    []string{"i1: The task has not appeared in the cluster state yet."}, until: 12 * time.Second, shows: environment.Running,
		},
		"an earlier deployment's task that is not seen yet has to be stopped first": {
			launches: []environment.Launch{launch(environment.LaunchStarted, 10*time.Second, of(earlier), named("t1"))},
			waits:    []string{"i1: The task has not appeared in the cluster state yet."}, until: 30 * time.Second, shows: environment.Running,
		},

		"the first task that ran and died is replaced at once": {
			launches: []environment.Launch{launch(environment.LaunchStarted, 15*time.Second, named("t1"))},
			tasks:    []environment.Task{with(task("t1", current, "STOPPED"), ran(3*time.Second))},
			want:     []string{"start i1: Replacing a task that stopped."}, shows: environment.Running,
		},
		"one that never ran is replaced after 10 s": {
			launches: []environment.Launch{launch(environment.LaunchStarted, 15*time.Second, named("t1"))},
			tasks:    []environment.Task{task("t1", current, "STOPPED")},
			want:     []string{"record i1: The task keeps stopping."}, until: 5 * time.Second,
			shows: environment.Running, health: environment.Unhealthy,
			failed: []environment.FailedInstance{{Arn: "i1", Reason: "STOPPED"}},
		},
		"the third that ran and died is replaced after 20 s": {
			launches: []environment.Launch{launch(environment.LaunchStarted, 12*time.Second, named("t1"), attempt(3))},
			tasks:    []environment.Task{with(task("t1", current, "STOPPED"), ran(3*time.Second))},
			want:     []string{"record i1: The task keeps stopping."}, until: 18 * time.Second,
			shows: environment.Running, health: environment.Unhealthy,
			failed: []environment.FailedInstance{{Arn: "i1", Reason: "STOPPED"}},
		},
		"the hundredth after 5 min": {
			launches: []environment.Launch{launch(environment.LaunchStarted, 10*time.Second, named("t1"), attempt(100))},
			tasks:    []environment.Task{with(task("t1", current, "STOPPED"), ran(3*time.Second))},
			want:     []string{"record i1: The task keeps stopping."}, until: 5 * time.Minute,
			shows: environment.Running, health: environment.Unhealthy,
			failed: []environment.FailedInstance{{Arn: "i1", Reason: "STOPPED"}},
		},
		"one that ran for long is replaced at once, whatever was before": {
			launches: []environment.Launch{launch(environment.LaunchStarted, 6*time.Minute, named("t1"), attempt(100))},
			tasks:    []environment.Task{with(task("t1", current, "STOPPED"), ran(5*time.Minute))},
			want:     []string{"start i1: Replacing a task that stopped."}, shows: environment.Running,
		},
		"a task of which no launch is known is replaced at once": {
			tasks: []environment.Task{task("t1", current, "STOPPED")}, want: []string{start}, shows: environment.Running,
		},
		"tasks that all died do not complete a deployment": {
			tasks:    []environment.Task{task("t1", current, "STOPPED")},
			launches: []environment.Launch{launch(environment.LaunchFailed, time.Minute, named("t1"), because("STOPPED", time.Minute))},
			waits:    []string{"i1: Backing off after a failure: STOPPED"}, until: time.Minute,
			shows: environment.Running, health: environment.Unhealthy,
			failed: []environment.FailedInstance{{Arn: "i1", Reason: "STOPPED"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := tc.state()
			plan := Make(s)
			assert.Equal(t, tc.want, texts(plan.Actions))
			var waits []string
			for _, w := range plan.Waits {
				waits = append(waits, w.Instance+": "+w.Reason)
			}
			assert.Equal(t, tc.waits, waits)
			var until time.Time
			if tc.until != 0 {
				until = now.Add(tc.until)
			}
			assert.Equal(t, until, plan.RequeueAt)
			assert.Equal(t, tc.shows, plan.Progress.Status, "status")
			assert.Equal(t, tc.health, plan.Progress.Health, "health")
			assert.Equal(t, tc.failed, plan.Failed)
			for _, a := range plan.Actions {
				if a.Kind != Stop {
					assert.Equal(t, s.Launches[a.Instance].StoredVersion, a.Launch.StoredVersion, "replaces the record it was made from")
				}
			}

			again := Make(done(s, plan))
			assert.Equal(t, tc.next, texts(again.Actions), "planning again finds work")
		})
	}
}

func TestAttemptsAreCounted(t *testing.T) {
	attempts := func(r row) int { return Make(r.state()).Actions[0].Launch.Attempts }
	dead := task("t1", current, "STOPPED")
	assert.Equal(t, 1, attempts(row{}))
	assert.Equal(t, 5, attempts(row{launches: []environment.Launch{launch(environment.LaunchFailed, time.Minute, attempt(4), because("AGENT", -time.Second))}}))
	assert.Equal(t, 4, attempts(row{launches: []environment.Launch{launch(environment.LaunchFailed, time.Minute, attempt(4))}}), "ECS knows nothing of it")
	assert.Equal(t, 1, attempts(row{launches: []environment.Launch{launch(environment.LaunchFailed, time.Minute, of(earlier), attempt(4))}}))
	assert.Equal(t, 2, attempts(row{
		launches: []environment.Launch{launch(environment.LaunchStarted, time.Minute, named("t1"))},
		tasks:    []environment.Task{with(dead, ran(time.Second))},
	}))
	assert.Equal(t, 1, attempts(row{
		launches: []environment.Launch{launch(environment.LaunchStarted, time.Hour, named("t1"), attempt(9))},
		tasks:    []environment.Task{with(dead, ran(6*time.Minute))},
	}))
}

func TestProgressKeepsWhatV03NotedOfInstancesNotTriedYet(t *testing.T) {
	noted := []environment.FailedInstance{{Arn: "i1", Reason: "AGENT"}, {Arn: "i2", Reason: "AGENT"}, {Arn: "gone", Reason: "AGENT"}}
	tc := row{carried: noted, instances: []environment.Instance{active("i1"), {ARN: "i2", Status: "ACTIVE"}}}
	assert.Equal(t, noted[:2], Make(tc.state()).Progress.LegacyFailures)
	tc.launches = []environment.Launch{launch(environment.LaunchStarted, time.Second, named("t1"))}
	assert.Equal(t, noted[1:2], Make(tc.state()).Progress.LegacyFailures)
	tc.stale = true
	assert.Equal(t, noted, Make(tc.state()).Progress.LegacyFailures)
}

func TestSettle(t *testing.T) {
	alive, dead := task("t1", current, "PENDING"), task("t1", current, "STOPPED")
	for name, tc := range map[string]struct {
		launch environment.Launch
		found  []environment.Task
		want   environment.LaunchState
		task   string
		reason string
		next   time.Duration // from now
	}{
		"open, a task lives":                  {launch(environment.LaunchOpen, 40*time.Second), []environment.Task{alive}, environment.LaunchStarted, "t1", "", 30 * time.Second},
		"open, nothing lives":                 {launch(environment.LaunchOpen, 40*time.Second), nil, environment.LaunchFailed, "", "", 0},
		"open, only dead ones":                {launch(environment.LaunchOpen, 40*time.Second), []environment.Task{dead}, environment.LaunchFailed, "", "", 0},
		"open after a failure, nothing lives": {launch(environment.LaunchOpen, 40*time.Second, because("AGENT", 0)), nil, environment.LaunchFailed, "", "AGENT", 0},
		"started, lives, long unseen":         {launch(environment.LaunchStarted, 130*time.Second, named("t1")), []environment.Task{alive}, environment.LaunchStarted, "t1", "", 2 * time.Minute},
		"started, dead":                       {launch(environment.LaunchStarted, 40*time.Second, named("t1"), attempt(4)), []environment.Task{dead}, environment.LaunchFailed, "t1", "STOPPED", 50 * time.Second},
		"started, MISSING soon after":         {launch(environment.LaunchStarted, 40*time.Second, named("t1")), nil, environment.LaunchStarted, "t1", "", 30 * time.Second},
		"started, MISSING after 5 min":        {launch(environment.LaunchStarted, 311*time.Second, named("t1")), nil, environment.LaunchFailed, "t1", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			got := ConfirmLaunch(tc.launch, tc.found, now)
			assert.Equal(t, tc.want, got.State)
			assert.Equal(t, tc.task, got.Task)
			assert.Equal(t, tc.reason, got.Reason)
			assert.Equal(t, now.Add(tc.next), got.NextAttemptAt)
		})
	}
}

func TestFailureBacksOff(t *testing.T) {
	for attempts, want := range map[int]time.Duration{1: 10 * time.Second, 2: 20 * time.Second, 5: 160 * time.Second, 6: 300 * time.Second, 1000: 300 * time.Second} {
		got := FailedLaunch(launch(environment.LaunchOpen, 0, attempt(attempts)), "AGENT", "the agent is away", now)
		assert.Equal(t, now.Add(want), got.NextAttemptAt, "attempt %d", attempts)
		assert.Equal(t, environment.LaunchFailed, got.State)
		assert.Equal(t, "AGENT", got.Reason)
	}
}

// done is s after the plan was carried out and everything went well.
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
