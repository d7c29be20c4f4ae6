package main

import (
	"context"
	"io"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	clusterstate "github.com/blox/blox/cluster-state-service"
	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a simulated ECS with the cluster prod, and a cluster-state-service.
type world struct {
	t       *testing.T
	sim     *ecssim.Sim
	aws     *httptest.Server
	etcd    *testenv.Server
	address string // of the cluster-state-service
	cluster string
	web     string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, etcd: testenv.EtcdServer(t), sim: ecssim.New(ecssim.Config{}), address: testenv.FreeAddress(t)}
	w.aws = httptest.NewServer(w.sim)
	t.Cleanup(func() { w.sim.Close(); w.aws.Close() })
	w.cluster = w.sim.CreateCluster("prod")
	w.web = w.sim.RegisterTaskDefinition("web", ecssim.WithMemory(3000)) // two fit on an instance
	return w
}

// run runs a component until the test ends or stop is called.
func (w *world) run(component func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { component(ctx) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	w.t.Cleanup(stop)
	return stop
}

func (w *world) css() (stop func()) {
	w.t.Helper()
	environment := map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": w.aws.URL,
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
	}
	cfg, err := clusterstate.ParseConfig([]string{"--etcd-endpoint", w.etcd.Endpoints()[0], "--queue", "blox_queue"},
		func(name string) string { return environment[name] }, io.Discard)
	require.NoError(w.t, err)
	cfg.Listener, err = net.Listen("tcp", w.address)
	require.NoError(w.t, err)
	log := testenv.Logger(w.t)
	log.SetLevel(logrus.WarnLevel)
	return w.run(func(ctx context.Context) { assert.NoError(w.t, clusterstate.Run(ctx, cfg, log)) })
}

func (w *world) ecs() *ecs.Client {
	return ecs.New(ecs.Options{
		Region: "us-east-1", BaseEndpoint: &w.aws.URL, Credentials: aws.AnonymousCredentials{}, HTTPClient: w.aws.Client(),
	})
}

// spread runs the scheduler and returns its informer.
func (w *world) spread(count int) (cache *informer.Informer, stop func()) {
	w.t.Helper()
	cache, err := informer.New(informer.Config{Endpoints: []string{w.address}, Heartbeat: time.Second})
	require.NoError(w.t, err)
	s := &Scheduler{
		Informer: cache, ECS: w.ecs(), Cluster: w.cluster, TaskDefinition: w.web, StartedBy: "spread", Count: count,
		StartConfirmTimeout: time.Second, Log: w.t.Logf,
	}
	return cache, w.run(func(ctx context.Context) {
		var informing sync.WaitGroup
		informing.Go(func() { assert.NoError(w.t, cache.Run(ctx)) })
		s.Run(ctx)
		informing.Wait()
	})
}

// kill stops the tasks on an instance.
func (w *world) kill(instance string) {
	w.t.Helper()
	for _, task := range w.sim.Tasks("prod") {
		if task.Live() && task.InstanceARN == instance {
			require.NoError(w.t, w.sim.KillTask(task.ARN, 1))
		}
	}
}

// running returns the number of running tasks by instance.
func (w *world) running() map[string]int {
	each := map[string]int{}
	for _, task := range w.sim.Tasks("prod") {
		if task.Live() && task.LastStatus == "RUNNING" {
			each[task.InstanceARN]++
		}
	}
	return each
}

// becomes waits for these numbers of running tasks by instance.
func (w *world) becomes(want map[string]int) {
	w.t.Helper()
	testenv.Eventually(w.t, func() bool { return assert.ObjectsAreEqual(want, w.running()) }, "%v", want)
}

func TestScheduler_FollowsCluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.sim.AddInstances("prod", 3) // in three zones
	stop := w.css()
	w.spread(6)
	w.becomes(map[string]int{i[0]: 2, i[1]: 2, i[2]: 2})

	i = append(i, w.sim.AddInstances("prod", 3)...) // new instances take their share
	w.becomes(map[string]int{i[0]: 1, i[1]: 1, i[2]: 1, i[3]: 1, i[4]: 1, i[5]: 1})

	w.kill(i[4])
	testenv.Eventually(t, func() bool { return w.running()[i[4]] == 1 })

	require.NoError(t, w.sim.RemoveInstance(i[0])) // terminated
	w.becomes(map[string]int{i[1]: 1, i[2]: 1, i[3]: 2, i[4]: 1, i[5]: 1})

	require.NoError(t, w.sim.DrainInstance(i[4]))
	require.NoError(t, w.sim.DrainInstance(i[5]))
	w.becomes(map[string]int{i[1]: 2, i[2]: 2, i[3]: 2})
	assert.Zero(t, w.sim.Counters().StartsOnDraining)

	stop() // tasks die while cluster-state-service restarts
	w.kill(i[1])
	w.css()
	w.becomes(map[string]int{i[1]: 2, i[2]: 2, i[3]: 2})
}

// Events lag longer than the scheduler waits for its started tasks, and the scheduler restarts meanwhile.
func TestScheduler_StartsNothingTwiceWhileEventsLag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sim.SetDown("sqs", true)
	w.sim.AddInstances("prod", 3)
	w.css()
	_, stop := w.spread(4)
	testenv.Eventually(t, func() bool { return len(w.sim.Tasks("prod")) == 4 })
	stop()
	cache, _ := w.spread(4)
	listedBefore := w.sim.Calls("ListTasks")
	testenv.Eventually(t, func() bool { return w.sim.Calls("ListTasks") >= listedBefore+3 },
		"it lists the tasks at start and while none is visible")
	assert.Empty(t, cache.TasksStartedBy("spread"))
	w.sim.SetDown("sqs", false)
	testenv.Eventually(t, func() bool { return len(cache.TasksStartedBy("spread")) == 4 })

	require.NoError(t, w.sim.KillTask(w.sim.Tasks("prod")[0].ARN, 1))
	testenv.Eventually(t, func() bool { return len(w.sim.Tasks("prod")) > 4 }, "the stopped task is not visible")
	testenv.Eventually(t, func() bool { return len(cache.TasksStartedBy("spread")) > 4 })
	assert.Len(t, w.sim.Tasks("prod"), 5, "started twice")
}

// Either the answer of a call is lost, or the call itself. The scheduler repeats only the latter.
func TestScheduler_VerifiesStartWithoutAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sim.AddInstances("prod", 3)
	w.css()
	w.ready()                  // so that the lag does not hide the instances
	w.sim.SetDown("sqs", true) // only now, because a service that never read its queue is not ready
	w.sim.SetFaults(ecssim.Faults{
		LostResponses: map[string]float64{"StartTask": 1}, ConsistencyLag: ecssim.Duration(500 * time.Millisecond),
	})
	cache, _ := w.spread(3)
	testenv.Eventually(t, func() bool { return w.sim.Calls("DescribeTasks") >= 2 }, "the scheduler does not verify")
	w.sim.SetDown("sqs", false)
	testenv.Eventually(t, func() bool { return len(cache.TasksStartedBy("spread")) == 3 })
	assert.Len(t, w.sim.Tasks("prod"), 3, "started twice")

	w.sim.SetFaults(ecssim.Faults{ServerErrors: map[string]float64{"StartTask": 1}})
	before := w.sim.Calls("StartTask")
	w.kill(w.sim.Tasks("prod")[0].InstanceARN)
	testenv.Eventually(t, func() bool { return w.sim.Calls("StartTask") == before+1 })
	w.sim.SetFaults(ecssim.Faults{})
	testenv.Eventually(t, func() bool { return len(w.sim.Tasks("prod")) == 4 })
	testenv.Eventually(t, func() bool { return len(cache.TasksStartedBy("spread")) == 4 })
	assert.Len(t, w.sim.Tasks("prod"), 4, "started twice")
}

func TestScheduler_SkipsInstanceThatRejectsTask(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.sim.AddInstances("prod", 2)
	big := w.sim.RegisterTaskDefinition("big", ecssim.WithMemory(7000))
	_, err := w.ecs().StartTask(t.Context(), &ecs.StartTaskInput{
		Cluster: &w.cluster, TaskDefinition: &big, ContainerInstances: i[:1],
	})
	require.NoError(t, err)
	w.css()
	w.spread(2)
	testenv.Eventually(t, func() bool { return w.running()[i[1]] == 2 })
	assert.Equal(t, 1, w.running()[i[0]], "the tasks of others stay")
}
