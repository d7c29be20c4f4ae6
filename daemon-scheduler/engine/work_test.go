package engine

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/internal/testenv"
)

// split is an ECS that lists a task which it does not describe yet. It is not called for anything else.
type split struct{ ECS }

func (split) ListTasks(_ context.Context, in *ecs.ListTasksInput, _ ...func(*ecs.Options)) (*ecs.ListTasksOutput, error) {
	if in.StartedBy == nil {
		return &ecs.ListTasksOutput{}, nil
	}
	return &ecs.ListTasksOutput{TaskArns: []string{"t1"}}, nil
}

func (split) DescribeTasks(_ context.Context, in *ecs.DescribeTasksInput, _ ...func(*ecs.Options)) (*ecs.DescribeTasksOutput, error) {
	reason := "MISSING"
	return &ecs.DescribeTasksOutput{Failures: []types.Failure{{Arn: &in.Tasks[0], Reason: &reason}}}, nil
}

// one is a store with one environment, or, at revision 0, none. It is not asked for anything else.
type one struct {
	Store
	revision int64
}

func (s *one) Copied(name string) (environment.Environment, map[string]environment.Launch, error) {
	if s.revision == 0 {
		return environment.Environment{}, nil, environment.NotFound(name)
	}
	return environment.Environment{Name: name, Cluster: "c", Revision: s.revision}, nil, nil
}

func newWork(t *testing.T, term environment.Term) *work {
	unlimited := rate.NewLimiter(rate.Inf, 1)
	e := New(Config{
		ECS: split{}, Store: &one{}, Log: testenv.Logger(t), Metrics: prometheus.NewRegistry(), Changes: unlimited, Reads: unlimited,
	})
	e.lead(newQueue(), newQueue(), newTenure(term))
	return &work{Engine: e, term: term, env: environment.Environment{Name: "logs", Cluster: "c"}, log: e.Log}
}

func TestALaunchStaysOpenWhileATaskIsListedAndNotDescribed(t *testing.T) {
	open := environment.Launch{Instance: "i1", Deployment: "d", State: environment.Open, Attempts: 1}
	err := newWork(t, environment.Term{}).check(t.Context(), []planner.Action{{Kind: planner.Check, Instance: "i1", Launch: open}})
	require.ErrorIs(t, err, errListedButMissing) // nothing is committed: there is nothing to commit to
}

func TestNothingIsStoppedAfterTheTerm(t *testing.T) {
	w := newWork(t, environment.Term{Until: func() time.Time { return time.Time{} }})
	w.Store, w.revision = &one{revision: 1}, 1
	require.ErrorIs(t, w.stop(t.Context(), []planner.Action{{Kind: planner.Stop, Instance: "i1", Task: "t1"}}), errNoLease)
}

// Nothing that is called for here exists: a call would panic.
func TestTheRestOfAPlanIsVoidOnceItsEnvironmentHasChanged(t *testing.T) {
	w := newWork(t, environment.Term{})
	for name, now := range map[string]int64{"changed": 2, "deleted": 0} {
		w.Store, w.revision = &one{revision: now}, 1
		require.NoError(t, w.stop(t.Context(), []planner.Action{{Kind: planner.Stop, Instance: "i1", Task: "t1"}}), name)
		require.NoError(t, w.startBatch(t.Context(), []planner.Action{{Kind: planner.Start, Instance: "i1"}}), name)
	}
}

func TestAnEnvironmentThatIsGoneIsForgotten(t *testing.T) {
	w := newWork(t, environment.Term{})
	w.noteStop("logs", "t1")
	w.Engine.term.vouch("logs", time.Now())
	_, _, _, err := w.reconcile(t.Context(), "logs")
	require.NoError(t, err)
	assert.Empty(t, w.asked)
	assert.Empty(t, w.Engine.term.vouched)
}
