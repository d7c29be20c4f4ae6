package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	clusterstate "github.com/blox/blox/cluster-state-service"
	daemonscheduler "github.com/blox/blox/daemon-scheduler"
	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	v1 "github.com/blox/blox/swagger/daemon-scheduler/v1"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

const (
	nobody = "127.0.0.1:1" // an address that nothing listens at
	prod   = "arn:aws:ecs:us-east-1:123456789012:cluster/prod"
)

var (
	theSpec = sync.OnceValues(func() (*testenv.Spec, error) { return testenv.NewSpec(v1.JSON) })
	specMu  sync.Mutex
)

// world is a simulated ECS with the cluster prod, a real etcd, and services of Blox between them.
type world struct {
	t      testing.TB
	sim    *ecssim.Sim
	aws    *httptest.Server
	etcd   *testenv.Server
	client *clientv3.Client
	agent  string // ARN of the task definition agent:1
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOf(t, ecssim.Config{}) // tasks run and stop at once
}

func newWorldOf(t testing.TB, simulated ecssim.Config) *world {
	t.Helper()
	w := &world{t: t, sim: ecssim.New(simulated), etcd: testenv.EtcdServer(t)}
	w.client = w.etcd.Client()
	w.aws = httptest.NewServer(w.sim)
	t.Cleanup(func() { w.sim.Close(); w.aws.Close() })
	require.Equal(t, prod, w.sim.CreateCluster("prod"))
	w.agent = w.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(64), ecssim.WithMemory(64))
	return w
}

// intercept lets answer do what the simulator would, when it is true.
func (w *world) intercept(answer func(action string, to http.ResponseWriter) bool) {
	w.aws.Config.Handler = http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		target := r.Header.Get("X-Amz-Target")
		if !answer(target[strings.LastIndex(target, ".")+1:], to) {
			w.sim.ServeHTTP(to, r)
		}
	})
}

func (w *world) getenv(name string) string {
	return map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": w.aws.URL, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
	}[name]
}

func listen(t testing.TB, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	return listener
}

// run runs a service until the test ends or stop is called.
func (w *world) run(service func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(w.t, service(ctx)) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	w.t.Cleanup(stop)
	return stop
}

func quiet(t testing.TB, level logrus.Level) logrus.FieldLogger {
	log := testenv.Logger(t)
	log.SetLevel(level)
	return log
}

// css runs a cluster-state-service; address is where.
func (w *world) css(at string) (address string, stop func()) {
	w.t.Helper()
	cfg, err := clusterstate.ParseConfig([]string{"--etcd-endpoint", w.etcd.Endpoints()[0], "--queue", "blox_queue"}, w.getenv, io.Discard)
	require.NoError(w.t, err)
	cfg.Listener = listen(w.t, at)
	log := quiet(w.t, logrus.ErrorLevel)
	return cfg.Listener.Addr().String(), w.run(func(ctx context.Context) error { return clusterstate.Run(ctx, cfg, log) })
}

// ds is one running daemon-scheduler.
type ds struct {
	*world
	url  string
	tls  *tls.Config // nil for http
	stop func()
}

// ds runs a daemon-scheduler on a cluster-state-service.
func (w *world) ds(css string, flags ...string) *ds {
	w.t.Helper()
	args := append([]string{"--etcd-endpoint", w.etcd.Endpoints()[0], "--css-endpoint", css, "--leader-lease", "2s"}, flags...)
	cfg, err := daemonscheduler.ParseConfig(args, w.getenv, io.Discard)
	require.NoError(w.t, err)
	cfg.Listener = listen(w.t, "127.0.0.1:0")
	log := quiet(w.t, logrus.InfoLevel)
	d := &ds{world: w, url: "http://" + cfg.Listener.Addr().String()}
	d.stop = w.run(func(ctx context.Context) error { return daemonscheduler.Run(ctx, cfg, log) })
	return d
}

// blox runs both services.
func (w *world) blox(flags ...string) *ds {
	w.t.Helper()
	address, _ := w.css("127.0.0.1:0")
	return w.ds(address, flags...)
}

// do sends a request and returns the answer with its body, read. Clients of v0.3 send no Content-Type that fits.
func (d *ds) do(method, path, body string) (*http.Response, string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, d.url+path, strings.NewReader(body))
	require.NoError(d.t, err)
	client := http.Client{
		Transport:     &http.Transport{TLSClientConfig: d.tls},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	answer, err := client.Do(request)
	require.NoError(d.t, err)
	defer answer.Body.Close()
	read, err := io.ReadAll(answer.Body)
	require.NoError(d.t, err)
	return answer, string(read)
}

// call is do for what the specification knows, which the answer is held against.
func (d *ds) call(method, path, body string) (*http.Response, string) {
	d.t.Helper()
	answer, read := d.do(method, path, body)
	spec, err := theSpec()
	require.NoError(d.t, err)
	specMu.Lock()
	defer specMu.Unlock()
	spec.Check(d.t, answer, []byte(read))
	return answer, read
}

// ok is call for what has to succeed; the answer is read into v.
func (d *ds) ok(method, path, body string, v any) {
	d.t.Helper()
	answer, read := d.call(method, path, body)
	require.Equal(d.t, http.StatusOK, answer.StatusCode, read)
	if v != nil {
		require.NoError(d.t, json.Unmarshal([]byte(read), v))
	}
}

func (d *ds) environment(name string) (e models.Environment) {
	d.t.Helper()
	d.ok("GET", "/v1/environments/"+name, "", &e)
	return e
}

// create makes an environment of the latest agent on prod.
func (d *ds) create(name string) (e models.Environment) {
	d.t.Helper()
	d.ok("POST", "/v1/environments", `{"name":"`+name+`","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent"}`, &e)
	return e
}

// deploy creates an environment's deployment and returns its id.
func (d *ds) deploy(e models.Environment) string {
	d.t.Helper()
	var made models.Deployment
	d.ok("POST", "/v1/environments/"+*e.Name+"/deployments?deploymentToken="+e.DeploymentToken.String(), "", &made)
	return made.ID.String()
}

func (d *ds) deployment(name, id string) (made models.Deployment) {
	d.t.Helper()
	d.ok("GET", "/v1/environments/"+name+"/deployments/"+id, "", &made)
	return made
}

func (d *ds) completed(name, id string) {
	d.t.Helper()
	testenv.Eventually(d.t, func() bool { return *d.deployment(name, id).Status == "completed" }, "%s is not completed", name)
}

// live is the live tasks that were started by id, by instance.
func (w *world) live(id string) map[string][]ecssim.Task {
	on := map[string][]ecssim.Task{}
	for _, task := range w.sim.Tasks("prod") {
		if task.StartedBy == id && task.Live() {
			on[task.InstanceARN] = append(on[task.InstanceARN], task)
		}
	}
	return on
}

// oneEach waits until exactly these instances have exactly one RUNNING task of the deployment.
func (w *world) oneEach(id string, instances ...string) {
	w.t.Helper()
	testenv.Eventually(w.t, func() bool {
		on := w.live(id)
		for _, instance := range instances {
			if len(on[instance]) != 1 || on[instance][0].LastStatus != "RUNNING" {
				return false
			}
		}
		return len(on) == len(instances)
	}, "not one task on each of %v", instances)
}

// neverTwo fails the test when an instance ever had two live tasks of one deployment.
func (w *world) neverTwo() {
	w.t.Helper()
	assert.Empty(w.t, w.sim.Counters().Violations)
	assert.Zero(w.t, w.sim.Counters().StartsOnDraining)
	assert.Zero(w.t, w.sim.Counters().StartsOnDisconnected)
}

// put writes a record as v0.3 would have.
func (w *world) put(key, value string) {
	w.t.Helper()
	_, err := w.client.Put(w.t.Context(), key, value)
	require.NoError(w.t, err)
}

// ecs is a client of the simulator for what its Go API has no word for.
func (w *world) ecs() *ecs.Client {
	w.t.Helper()
	cfg, err := awsconfig.Load(w.t.Context(), w.getenv)
	require.NoError(w.t, err)
	return ecs.NewFromConfig(cfg, func(o *ecs.Options) {
		o.HTTPClient = awsconfig.BufferBodies(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}})
	})
}

// startTask starts a task of the agent as somebody else than Blox would, and returns its ARN.
func (w *world) startTask(instance, startedBy string) string {
	w.t.Helper()
	out, err := w.ecs().StartTask(w.t.Context(), &ecs.StartTaskInput{
		Cluster: aws.String("prod"), TaskDefinition: &w.agent, ContainerInstances: []string{instance}, StartedBy: &startedBy,
	})
	require.NoError(w.t, err)
	require.Len(w.t, out.Tasks, 1)
	return *out.Tasks[0].TaskArn
}
