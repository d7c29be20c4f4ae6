package engine

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/testenv"
)

// describedTasks answers DescribeTasks: desiredStatus by ARN of the tasks that ECS knows. It counts the calls.
type describedTasks struct {
	mu     sync.Mutex
	known  map[string]string
	down   bool
	calls  int
	events []environment.Event
	stub   *ecsStub
}

func (d *describedTasks) describe(body string) (status int, answer string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	if d.down {
		return http.StatusServiceUnavailable, `{"__type":"ServiceUnavailable"}`
	}
	var input struct{ Tasks []string }
	if json.Unmarshal([]byte(body), &input) != nil || len(input.Tasks) > 100 {
		return http.StatusBadRequest, `{"__type":"InvalidParameterException"}`
	}
	output := map[string][]map[string]string{}
	for _, arn := range input.Tasks {
		if desired, ok := d.known[arn]; ok {
			task := map[string]string{"taskArn": arn, "lastStatus": "RUNNING", "desiredStatus": desired}
			output["tasks"] = append(output["tasks"], task)
		} else {
			output["failures"] = append(output["failures"], map[string]string{"arn": arn, "reason": "MISSING"})
		}
	}
	encoded, err := json.Marshal(output)
	if err != nil {
		return http.StatusInternalServerError, "{}"
	}
	return http.StatusOK, string(encoded)
}

// running returns a task that runs on an instance for the cluster state; it is hours old.
func running(arn, instance, deployment string) environment.Task {
	return environment.Task{
		ARN: arn, Instance: instance, StartedBy: deployment, LastStatus: "RUNNING", DesiredStatus: "RUNNING",
		CreatedAt: time.Now().Add(-5 * time.Hour),
	}
}

// stopOf returns the stop of a task because of others on its instance, if any.
func stopOf(t environment.Task, reason planner.StopReason, kept ...string) planner.Action {
	return planner.Action{Kind: planner.Stop, Instance: t.Instance, Task: t.ARN, StopReason: reason, Kept: kept}
}

// newVerification returns a reconciliation with tasks, and ECS's descriptions of them.
func newVerification(t *testing.T, tasks ...environment.Task) (*reconciliation, *describedTasks) {
	r, _, fake := newReconciliation(t, store.Term{})
	ecs := &describedTasks{known: map[string]string{}, stub: fake.ecsStub}
	fake.describe = ecs.describe
	r.tasks = tasks
	r.RecordEvent = func(e environment.Event) { ecs.events = append(ecs.events, e) }
	return r, ecs
}

func TestVerifyKept_WithholdsStopsUntilECSConfirmsWhatRemains(t *testing.T) {
	oldTask, kept := running("old", "i1", "first"), running("kept", "i1", "second")
	other, otherKept := running("other", "i2", "second"), running("otherKept", "i2", "second")
	young := kept
	young.CreatedAt = time.Now().Add(-time.Minute)
	unknownAge := kept
	unknownAge.CreatedAt = time.Time{}
	both := []planner.Action{
		stopOf(oldTask, planner.ReasonSuperseded, "kept"), stopOf(other, planner.ReasonDuplicate, "otherKept"),
	}
	alone := []planner.Action{stopOf(oldTask, planner.ReasonSuperseded)}
	launched := map[string]environment.Launch{"i1": {
		Instance: "i1", Deployment: "second", State: environment.LaunchStarted, Task: "kept", NotAfter: time.Now(),
	}}
	for name, tc := range map[string]struct {
		tasks       []environment.Task
		launches    map[string]environment.Launch
		known       map[string]string // by ARN: the desired status in ECS
		stops       []planner.Action
		want        []planner.Action
		wantErr     error
		wantPhantom []string
		wantCalls   int
	}{
		"what remains is live": {
			tasks: []environment.Task{oldTask, kept, other, otherKept},
			known: map[string]string{"kept": "RUNNING", "other": "RUNNING", "otherKept": "RUNNING"},
			stops: both, want: both, wantCalls: 1,
		},
		"what remains is a phantom on one instance": {
			tasks: []environment.Task{oldTask, kept, other, otherKept},
			known: map[string]string{"other": "RUNNING", "otherKept": "RUNNING"},
			stops: both, want: both[1:], wantPhantom: []string{"kept"}, wantCalls: 1,
		},
		"a duplicate is a phantom": {
			tasks: []environment.Task{other, otherKept}, known: map[string]string{"otherKept": "RUNNING"},
			stops: both[1:], wantPhantom: []string{"other"}, wantCalls: 1,
		},
		"what remains is stopping": {
			tasks: []environment.Task{oldTask, kept}, known: map[string]string{"kept": "STOPPED"},
			stops: both[:1], wantErr: errUnconfirmed, wantCalls: 1,
		},
		"what remains is too young to be a phantom": {
			tasks: []environment.Task{oldTask, young}, stops: both[:1], wantErr: errUnconfirmed, wantCalls: 1,
		},
		"what remains was launched a moment ago": {
			tasks: []environment.Task{oldTask, unknownAge}, launches: launched,
			stops: both[:1], wantErr: errUnconfirmed, wantCalls: 1,
		},
		"the stop leaves nothing": {tasks: []environment.Task{oldTask}, stops: alone, want: alone},
		"all tasks stop on purpose": {
			tasks: []environment.Task{oldTask, kept}, stops: []planner.Action{stopOf(oldTask, planner.ReasonDraining)},
			want: []planner.Action{stopOf(oldTask, planner.ReasonDraining)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, ecs := newVerification(t, tc.tasks...)
			ecs.known, r.launches = tc.known, tc.launches
			got, err := r.verifyKept(t.Context(), tc.stops)
			require.ErrorIs(t, err, tc.wantErr)
			assert.ElementsMatch(t, tc.want, got)
			assert.Equal(t, tc.wantCalls, ecs.calls)
			var phantoms []string
			for _, e := range ecs.events {
				assert.Equal(t, environment.EventPhantomTaskIgnored, e.Action)
				phantoms = append(phantoms, e.Instances[0].Task)
			}
			assert.Equal(t, tc.wantPhantom, phantoms)
			assert.InDelta(t, len(tc.wantPhantom), phantomCount(t, r), 0)
		})
	}
}

// phantomCount returns how many phantom tasks were counted.
func phantomCount(t *testing.T, r *reconciliation) float64 {
	t.Helper()
	return testenv.Metric(t, r.Metrics.(*prometheus.Registry), "blox_ds_phantom_tasks_total")
}

func TestVerifyKept_RetriesAfterErrorsOfECS(t *testing.T) {
	oldTask, kept := running("old", "i1", "first"), running("kept", "i1", "second")
	r, ecs := newVerification(t, oldTask, kept)
	ecs.known["kept"] = "RUNNING"
	ecs.down = true
	stops := []planner.Action{
		stopOf(oldTask, planner.ReasonSuperseded, "kept"), stopOf(running("leaving", "i2", "second"), planner.ReasonDraining),
	}
	got, err := r.verifyKept(t.Context(), stops)
	require.Error(t, err)
	assert.Equal(t, stops[1:], got, "stops on purpose go out")
	ecs.down = false
	got, err = r.verifyKept(t.Context(), stops[:1])
	require.NoError(t, err)
	assert.Equal(t, stops[:1], got)
}

// A rollout of many instances costs a call for each hundred tasks, not one for each stop.
func TestVerifyKept_SharesCallsAndRemembersConfirmations(t *testing.T) {
	r, ecs := newVerification(t)
	var stops []planner.Action
	for n := range 300 {
		instance := fmt.Sprint("i", n)
		oldTask, kept := running("old"+instance, instance, "first"), running("kept"+instance, instance, "second")
		ecs.known[kept.ARN] = "RUNNING"
		r.tasks = append(r.tasks, oldTask, kept)
		stops = append(stops, stopOf(oldTask, planner.ReasonSuperseded, kept.ARN))
	}
	for len(stops) > 0 {
		for range 5 { // the limiter lets few stops out at a time
			got, err := r.verifyKept(t.Context(), stops)
			require.NoError(t, err)
			require.Len(t, got, maxActionsPerReconciliation)
		}
		stops = stops[maxActionsPerReconciliation:]
	}
	assert.Equal(t, 3, ecs.calls)
}

// Stops that wait for ECS, however many, must not hold up those that need not.
func TestVerifyKept_ContinuesBehindStopsThatItWithholds(t *testing.T) {
	r, ecs := newVerification(t)
	var stops []planner.Action
	add := func(n int, inECS string) {
		instance := fmt.Sprint("i", n)
		oldTask, kept := running("old"+instance, instance, "first"), running("kept"+instance, instance, "second")
		ecs.known[kept.ARN] = inECS
		r.tasks = append(r.tasks, oldTask, kept)
		stops = append(stops, stopOf(oldTask, planner.ReasonSuperseded, kept.ARN))
	}
	for n := range 2 * maxActionsPerReconciliation {
		add(n, "STOPPED")
	}
	for n := range 10 {
		add(1000+n, "RUNNING")
	}
	draining := stopOf(running("leaving", "i2000", "second"), planner.ReasonDraining)
	got, err := r.verifyKept(t.Context(), append(stops, draining))
	require.ErrorIs(t, err, errUnconfirmed)
	assert.ErrorContains(t, err, "stop tasks of 200 instances")
	assert.ElementsMatch(t, append(stops[2*maxActionsPerReconciliation:], draining), got)
	assert.Equal(t, 3, ecs.calls)
}

func TestStop_IgnoresAPhantomThatECSDoesNotStop(t *testing.T) {
	phantom := running("phantom", "i1", "first")
	for name, known := range map[string]map[string]string{"phantom": {}, "task": {"phantom": "RUNNING"}} {
		t.Run(name, func(t *testing.T) {
			r, _, fake := newReconciliation(t, store.Term{})
			ecs := &describedTasks{known: known}
			fake.describe = ecs.describe
			fake.answer = func(string, string) (int, string) {
				return http.StatusBadRequest,
					`{"__type":"InvalidParameterException","message":"The referenced task was not found."}`
			}
			r.tasks = []environment.Task{phantom}
			require.NoError(t, r.stop(t.Context(), []planner.Action{stopOf(phantom, planner.ReasonSuperseded)}))
			isPhantom := len(known) == 0
			assert.Equal(t, isPhantom, phantomCount(t, r) == 1)
			assert.Equal(t, !isPhantom, r.conditions.has("logs", environment.ConditionTaskStopFailed))
		})
	}
}
