package reconcile

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/blox/blox/cluster-state-service/api"
	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/cluster-state-service/store"
	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a simulated ECS and an etcd, between which Reconcilers run. Nothing consumes ECS's events.
type fixture struct {
	*ecssim.Sim
	t      *testing.T
	served atomic.Pointer[http.Handler]
	ecs    *ecs.Client
	etcd   *testenv.Server
	store  *store.Store
	cache  *cache.Cache
}

func newFixture(t *testing.T, simulated ecssim.Config) *fixture {
	t.Helper()
	f := &fixture{t: t, etcd: testenv.EtcdServer(t)} // first, as it may skip the test
	f.Sim = ecssim.New(simulated)
	f.serve(f.Sim)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*f.served.Load()).ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		f.Close()
		server.Close()
	})
	f.ecs = ecs.New(ecs.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: aws.AnonymousCredentials{},
		HTTPClient: awsconfig.BufferBodies(server.Client()),
	})
	f.cache = cache.New(cache.Config{
		WatchClient: f.etcd.Client(), Client: f.etcd.Client(), Log: testenv.Logger(t),
		Tasks: cache.Codec[state.Task, state.TaskSummary]{
			Decode: state.DecodeTask, Version: func(t state.Task) int64 { return t.Version },
			Summarize: (*state.Task).Summary,
			Encode:    api.EncodeTask, EncodeDeleted: api.EncodeDeleted,
		},
		Instances: cache.Codec[state.Instance, state.Instance]{
			Decode: state.DecodeInstance, Version: func(i state.Instance) int64 { return i.Version },
			Summarize: (*state.Instance).Summary,
			Encode:    api.EncodeInstance, EncodeDeleted: api.EncodeDeleted,
		},
	})
	f.store = store.New(f.etcd.Client(), f.cache.StoredVersion, nil)
	f.run(f.cache.Run)
	return f
}

// serve makes another handler respond in place of the simulated ECS.
func (f *fixture) serve(ecs http.Handler) { f.served.Store(&ecs) }

// run runs a component until the test ends.
func (f *fixture) run(component func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(f.t, component(ctx)) })
	f.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

// start runs a Reconciler with these settings.
func (f *fixture) start(c Config) {
	c.ECS, c.Store, c.WaitCurrent, c.Log = f.ecs, f.store, f.cache.WaitCurrent, testenv.Logger(f.t)
	c.RegionName = "us-east-1"
	c.Name = "test"
	f.run(New(c).Run)
}

func (f *fixture) snapshot() *cache.Snapshot {
	f.t.Helper()
	s, err := f.cache.WaitCurrent(f.t.Context())
	require.NoError(f.t, err)
	return s
}

// awaitState waits until the records show what ECS knows.
func (f *fixture) awaitState() {
	f.t.Helper()
	truth := map[string]string{}
	for _, task := range f.Tasks("") {
		truth[task.ARN] = task.LastStatus
	}
	for _, instance := range f.Instances("") {
		truth[instance.ARN] = instance.Status
	}
	testenv.Eventually(f.t, func() bool {
		s := f.snapshot()
		stored := map[string]string{}
		for e := range s.Tasks.Prefix("") {
			stored[e.Entity.ARN] = e.Entity.LastStatus
		}
		for e := range s.Instances.Prefix("") {
			stored[e.Entity.ARN] = e.Entity.Status
		}
		return assert.ObjectsAreEqual(truth, stored)
	}, "the records do not become what ECS knows")
}
