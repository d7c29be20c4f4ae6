package engine

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/daemon-scheduler/cache"
	"github.com/blox/blox/daemon-scheduler/ecsapi"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ecserrors"
	"github.com/blox/blox/internal/ratelimit"
	"github.com/blox/blox/internal/testenv"
)

// ecsStub answers calls as ECS may and the simulator does not: it lists a task that it does not describe yet. It counts
// all other calls, and rejects them unless answer answers them.
type ecsStub struct {
	otherCalls atomic.Int64
	behind     time.Duration // its clock is behind that of this machine
	answer     func(action, body string) (status int, answer string)
	list       func() (status int, answer string) // answers ListTasks; nil lists t1
	// describe answers DescribeTasks; nil reports t1 as missing.
	describe func(body string) (status int, answer string)
}

func (s *ecsStub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	status := http.StatusOK
	var answer string
	switch _, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "."); action {
	case "ListTasks":
		answer = `{"taskArns":["t1"]}`
		if s.list != nil {
			status, answer = s.list()
		}
	case "DescribeTasks":
		answer = `{"tasks":[],"failures":[{"arn":"t1","reason":"MISSING"}]}`
		if s.describe != nil {
			status, answer = s.describe(string(body))
		}
	default:
		s.otherCalls.Add(1)
		status, answer = http.StatusForbidden, `{"__type":"AccessDeniedException","message":"not here"}`
		if s.answer != nil {
			status, answer = s.answer(action, string(body))
		}
	}
	w.Header().Set("Date", time.Now().Add(-s.behind).UTC().Format(http.TimeFormat))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(answer))
}

// world is what surrounds the engine in a test.
type world struct {
	*ecsStub
	css  *cssStub
	etcd *clientv3.Client
}

// fillEtcd makes etcd refuse writes, as it does when it is out of space.
func (w *world) fillEtcd(t *testing.T) {
	t.Helper()
	members, err := w.etcd.MemberList(t.Context())
	require.NoError(t, err)
	_, err = etcdserverpb.NewMaintenanceClient(w.etcd.ActiveConnection()).Alarm(t.Context(), &etcdserverpb.AlarmRequest{
		Action: etcdserverpb.AlarmRequest_ACTIVATE, Alarm: etcdserverpb.AlarmType_NOSPACE, MemberID: members.Members[0].ID,
	})
	require.NoError(t, err)
}

// newReconciliation returns a reconciliation of the environment "logs", which is in etcd.
func newReconciliation(t *testing.T, term store.Term) (*reconciliation, *store.Store, *world) {
	css := newClusterState(t)
	fake := &world{ecsStub: &ecsStub{}, css: css, etcd: testenv.Etcd(t)}
	server := httptest.NewServer(fake.ecsStub)
	t.Cleanup(server.Close)
	client := ecs.New(ecs.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		HTTPClient:  awsconfig.BufferBodies(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}),
	})
	records := store.New(fake.etcd, testenv.Logger(t))
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	cached := cache.New(records, testenv.Logger(t))
	group.Go(func() { assert.NoError(t, cached.Run(ctx)) })
	t.Cleanup(func() { cancel(); group.Wait() })
	require.NoError(t, records.Create(t.Context(), environment.New("logs", "c", "agent:1", "token")))
	awaitCached(t, cached, func(_ environment.Environment, err error) bool { return err == nil })
	env, _, err := cached.Environment("logs")
	require.NoError(t, err)

	e := New(Config{
		ECS: ecsapi.NewClients(ecsapi.Config{
			ECS: client, CloudWatch: cloudwatch.New(cloudwatch.Options{}),
			NewLimits: func() ratelimit.Limits { return ratelimit.Limits{} },
		}),
		Store: records, Cache: cached, Log: testenv.Logger(t),
		Metrics: prometheus.NewRegistry(), Cluster: css.cluster,
	})
	leader := newLeaderState(term)
	t.Cleanup(leader.close)
	e.setLeader(leader)
	return &reconciliation{
		Engine: e, ECS: e.ECS.Of(ecsapi.Caller{}), leader: leader, env: env, revision: env.StoredVersion, log: e.Log,
		callFailed: new(atomic.Bool),
	}, records, fake
}

// awaitCached waits until the cached environment is as expected.
func awaitCached(t *testing.T, cached *cache.Cache, matches func(environment.Environment, error) bool) {
	testenv.Eventually(t, func() bool {
		e, _, err := cached.Environment("logs")
		return cached.Synced() && matches(e, err)
	})
}

func TestConfirm_LeavesALaunchOpenWhileItsTaskIsListedButNotDescribed(t *testing.T) {
	r, _, _ := newReconciliation(t, store.Term{})
	open := environment.Launch{Instance: "i1", Deployment: "d", State: environment.LaunchOpen, Attempts: 1}
	err := r.confirm(t.Context(), []planner.Action{{Kind: planner.Confirm, Instance: "i1", Launch: open}})
	require.ErrorIs(t, err, errListedButMissing)
	_, launches, err := r.Cache.Environment("logs")
	require.NoError(t, err)
	assert.Empty(t, launches, "nothing is written")
}

func TestStop_SendsNothingAfterTheLeaseExpired(t *testing.T) {
	r, _, fake := newReconciliation(t, store.Term{Until: func() time.Time { return time.Time{} }})
	stop := []planner.Action{{Kind: planner.Stop, Instance: "i1", Task: "t1"}}
	require.ErrorIs(t, r.stop(t.Context(), stop), errLeaseExpired)
	assert.Zero(t, fake.otherCalls.Load())
}

func TestReconcile_ExecutesNoMoreOfAPlanOnceItsEnvironmentChanged(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *store.Store, *cache.Cache){
		"changed": func(t *testing.T, records *store.Store, cached *cache.Cache) {
			paused, err := records.Update(t.Context(), "logs", func(e environment.Environment) (environment.Environment, error) {
				e.Paused = true
				return e, nil
			})
			require.NoError(t, err)
			awaitCached(t, cached, func(e environment.Environment, _ error) bool {
				return e.StoredVersion == paused.StoredVersion
			})
		},
		"deleted": func(t *testing.T, records *store.Store, cached *cache.Cache) {
			require.NoError(t, records.Delete(t.Context(), "logs"))
			awaitCached(t, cached, func(_ environment.Environment, err error) bool { return err != nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, records, fake := newReconciliation(t, store.Term{})
			change(t, records, r.Cache)
			require.NoError(t, r.stop(t.Context(), []planner.Action{{Kind: planner.Stop, Instance: "i1", Task: "t1"}}))
			require.NoError(t, r.startBatch(t.Context(), []planner.Action{{Kind: planner.Start, Instance: "i1"}}))
			assert.Zero(t, fake.otherCalls.Load(), "ECS is not called")
		})
	}
}

func TestReconcile_ForgetsADeletedEnvironment(t *testing.T) {
	r, records, _ := newReconciliation(t, store.Term{})
	require.NoError(t, records.Delete(t.Context(), "logs"))
	awaitCached(t, r.Cache, func(_ environment.Environment, err error) bool { return err != nil })
	r.leader.recordStopRequest("logs", "t1", ecserrors.Succeeded)
	r.leader.recordVerified("logs", time.Now())
	_, err := r.reconcile(t.Context(), r.leader, "logs")
	require.NoError(t, err)
	assert.Empty(t, r.leader.stopRequests)
	assert.Empty(t, r.leader.verifiedAt)
}

// The watch of launches may be ahead of the watch of environments.
func TestForget_KeepsLaunchesOfAnEnvironmentThatTheCacheLacks(t *testing.T) {
	r, records, _ := newReconciliation(t, leads)
	require.NoError(t, r.recordLaunches(t.Context(), []planner.Action{
		{Launch: environment.Launch{Instance: "i1", Deployment: "d", State: environment.LaunchFailed}},
	}, nil))
	launches := storedLaunches(t, records)
	require.Len(t, launches, 1)
	_, err := r.forget(t.Context(), r.leader, "logs", launches)
	require.Error(t, err)
	assert.Len(t, storedLaunches(t, records), 1)

	require.NoError(t, records.Delete(t.Context(), "logs"))
	_, err = r.forget(t.Context(), r.leader, "logs", launches)
	require.NoError(t, err)
	assert.Empty(t, storedLaunches(t, records))
}

// The engine's own writes queue nothing. Without another plan, metrics would show the numbers of the plan that
// completes a deployment, which counts no new task as available, until something else changes.
func TestReconcile_PlansAgainAfterItHasRecordedProgress(t *testing.T) {
	r, records, _ := newReconciliation(t, leads)
	updated, err := records.Update(t.Context(), "logs", func(e environment.Environment) (environment.Environment, error) {
		e.Deployments = map[string]environment.Deployment{
			"first": {ID: "first", TaskDefinition: "agent:1", Status: environment.Running},
		}
		return e, nil
	})
	require.NoError(t, err)
	completes := planner.Plan{
		Deployment: "first", Progress: environment.Progress{Status: environment.Completed, Desired: 1},
	}
	r.env, r.revision = updated, updated.StoredVersion
	require.NoError(t, r.execute(t.Context(), completes, true, time.Now()))
	assert.True(t, r.changes(completes))

	next := *r
	next.recorded = false
	next.env, err = records.Get(t.Context(), "logs")
	require.NoError(t, err)
	require.Equal(t, environment.Completed, next.env.Deployments["first"].Status)
	require.NoError(t, next.execute(t.Context(), completes, true, time.Now()))
	assert.False(t, next.changes(completes), "nothing has changed")
}
