package engine

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/testenv"
)

// split is an ECS that lists a task which it does not describe yet, as ECS may for a moment; the simulator is consistent.
// Calls of anything else are counted and refused.
type split struct{ others atomic.Int64 }

func (s *split) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	answer := `{"__type":"AccessDeniedException","message":"not here"}`
	switch _, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "."); action {
	case "ListTasks":
		answer = `{"taskArns":["t1"]}`
	case "DescribeTasks":
		answer = `{"tasks":[],"failures":[{"arn":"t1","reason":"MISSING"}]}`
	default:
		s.others.Add(1)
		w.WriteHeader(http.StatusForbidden)
	}
	_, _ = w.Write([]byte(answer))
}

// newWork is a look at the environment "logs", which is in etcd.
func newWork(t *testing.T, term store.Term) (*work, *store.Store, *split) {
	answers := &split{}
	server := httptest.NewServer(answers)
	t.Cleanup(server.Close)
	client := ecs.New(ecs.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		HTTPClient: awsconfig.BufferBodies(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}),
	})
	kept := store.New(testenv.Etcd(t), testenv.Logger(t))
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { assert.NoError(t, kept.Run(ctx, func(string) {}, func(string) {})) })
	t.Cleanup(func() { cancel(); group.Wait() })
	require.NoError(t, kept.Create(t.Context(), environment.New("logs", "c", "agent:1", "token")))
	copied(t, kept, func(_ environment.Environment, err error) bool { return err == nil })
	env, _, err := kept.Copied("logs")
	require.NoError(t, err)

	unlimited := rate.NewLimiter(rate.Inf, 1)
	e := New(Config{
		ECS: client, Store: kept, Log: testenv.Logger(t), Metrics: prometheus.NewRegistry(), Changes: unlimited, Reads: unlimited,
	})
	e.lead(newQueue(), newQueue(), newTenure(term))
	return &work{Engine: e, term: term, env: env, revision: env.StoredVersion, log: e.Log}, kept, answers
}

// copied waits until the store's copy of the environment is as it is to be.
func copied(t *testing.T, kept *store.Store, as func(environment.Environment, error) bool) {
	testenv.Eventually(t, func() bool {
		e, _, err := kept.Copied("logs")
		return kept.Synced() && as(e, err)
	})
}

func TestALaunchStaysOpenWhileATaskIsListedAndNotDescribed(t *testing.T) {
	w, kept, _ := newWork(t, store.Term{})
	open := environment.Launch{Instance: "i1", Deployment: "d", State: environment.LaunchOpen, Attempts: 1}
	err := w.check(t.Context(), []planner.Action{{Kind: planner.Confirm, Instance: "i1", Launch: open}})
	require.ErrorIs(t, err, errListedButMissing)
	_, launches, err := kept.Copied("logs")
	require.NoError(t, err)
	assert.Empty(t, launches, "nothing is written")
}

func TestNothingIsStoppedAfterTheTerm(t *testing.T) {
	w, _, ecs := newWork(t, store.Term{Until: func() time.Time { return time.Time{} }})
	require.ErrorIs(t, w.stop(t.Context(), []planner.Action{{Kind: planner.Stop, Instance: "i1", Task: "t1"}}), errNoLease)
	assert.Zero(t, ecs.others.Load())
}

func TestTheRestOfAPlanIsVoidOnceItsEnvironmentHasChanged(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *store.Store){
		"changed": func(t *testing.T, kept *store.Store) {
			paused, err := kept.Update(t.Context(), "logs", func(e environment.Environment) (environment.Environment, error) {
				e.Paused = true
				return e, nil
			})
			require.NoError(t, err)
			copied(t, kept, func(e environment.Environment, _ error) bool { return e.StoredVersion == paused.StoredVersion })
		},
		"deleted": func(t *testing.T, kept *store.Store) {
			require.NoError(t, kept.Delete(t.Context(), "logs"))
			copied(t, kept, func(_ environment.Environment, err error) bool { return err != nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, kept, ecs := newWork(t, store.Term{})
			change(t, kept)
			require.NoError(t, w.stop(t.Context(), []planner.Action{{Kind: planner.Stop, Instance: "i1", Task: "t1"}}))
			require.NoError(t, w.startBatch(t.Context(), []planner.Action{{Kind: planner.Start, Instance: "i1"}}))
			assert.Zero(t, ecs.others.Load(), "ECS is not called")
		})
	}
}

func TestAnEnvironmentThatIsGoneIsForgotten(t *testing.T) {
	w, kept, _ := newWork(t, store.Term{})
	require.NoError(t, kept.Delete(t.Context(), "logs"))
	copied(t, kept, func(_ environment.Environment, err error) bool { return err != nil })
	w.noteStop("logs", "t1")
	w.Engine.term.vouch("logs", time.Now())
	_, _, _, err := w.reconcile(t.Context(), "logs")
	require.NoError(t, err)
	assert.Empty(t, w.asked)
	assert.Empty(t, w.Engine.term.vouched)
}
