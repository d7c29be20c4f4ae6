package e2e

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
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
	"github.com/blox/blox/internal/ecssim/conformance"
	"github.com/blox/blox/internal/testenv"
	v1 "github.com/blox/blox/swagger/daemon-scheduler/v1"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// requestTimeout is long, because only a failing test waits for it.
const requestTimeout = 3 * time.Minute

const (
	unusedAddress = "127.0.0.1:1" // an address that nothing listens at
	prod          = "arn:aws:ecs:us-east-1:123456789012:cluster/prod"
)

var (
	apiSpec = sync.OnceValues(func() (*testenv.Spec, error) { return testenv.NewSpec(v1.JSON) })
	specMu  sync.Mutex
)

// system is a simulated ECS with the cluster prod, a real etcd, and services of Blox between them.
type system struct {
	t          testing.TB
	sim        *ecssim.Sim
	aws        *httptest.Server
	awsHandler *atomic.Pointer[http.Handler]
	validated  *conformance.Validator // the simulator, with all calls validated
	etcd       *testenv.Server
	client     *clientv3.Client
	agent      string // ARN of the task definition agent:1
	region     string // of the services; empty for us-east-1
}

func newSystem(t testing.TB) *system {
	t.Helper()
	return newSystemWith(t, ecssim.Config{}) // tasks run and stop at once
}

func newSystemWith(t testing.TB, simulated ecssim.Config) *system {
	t.Helper()
	w := &system{t: t, etcd: testenv.EtcdServer(t), sim: ecssim.New(simulated)} // etcd first: it may skip the test
	w.client = w.etcd.Client()
	w.aws = w.newAWS()
	t.Cleanup(func() { w.sim.Close(); w.aws.Close() })
	require.Equal(t, prod, w.sim.CreateCluster("prod"))
	w.agent = w.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(64), ecssim.WithMemory(64))
	return w
}

// newAWS starts the server of the simulator, with a handler that a test may replace.
func (w *system) newAWS() *httptest.Server {
	w.awsHandler, w.validated = &atomic.Pointer[http.Handler]{}, conformance.New(w.sim)
	w.t.Cleanup(func() {
		w.t.Logf("AWS calls validated: %+v", w.validated.Total())
		assert.Empty(w.t, w.validated.Violations(), "calls and answers conform to the API models")
	})
	w.serveAWS(w.validated)
	return httptest.NewServer(http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		(*w.awsHandler.Load()).ServeHTTP(to, r)
	}))
}

// serveAWS replaces the handler of the calls of AWS.
func (w *system) serveAWS(handler http.Handler) { w.awsHandler.Store(&handler) }

// intercept passes every request to answer first. If answer returns true, the simulator does not see the request.
func (w *system) intercept(answer func(action string, to http.ResponseWriter) bool) {
	w.serveAWS(http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		target := r.Header.Get("X-Amz-Target")
		if !answer(target[strings.LastIndex(target, ".")+1:], to) {
			w.validated.ServeHTTP(to, r)
		}
	}))
}

func (w *system) getenv(name string) string {
	return map[string]string{
		"AWS_REGION": cmp.Or(w.region, "us-east-1"), "AWS_ENDPOINT_URL": w.aws.URL, "AWS_ACCESS_KEY_ID": "test",
		"AWS_SECRET_ACCESS_KEY": "test",
	}[name]
}

func listen(t testing.TB, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	return listener
}

// runService runs a service until the test ends or stop is called.
func (w *system) runService(service func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(w.t, service(ctx)) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	w.t.Cleanup(stop)
	return stop
}

func newLogger(t testing.TB, level logrus.Level) logrus.FieldLogger {
	log := testenv.Logger(t)
	log.SetLevel(level)
	return log
}

// startCSS runs a cluster-state-service and returns its address.
func (w *system) startCSS(at string, sources ...string) (address string, stop func()) {
	w.t.Helper()
	args := []string{"--etcd-endpoint", w.etcd.Endpoints()[0]}
	for _, source := range sources {
		args = append(args, "--source", source)
	}
	if len(sources) == 0 {
		args = append(args, "--queue", "blox_queue")
	}
	cfg, err := clusterstate.ParseConfig(args, w.getenv, io.Discard)
	require.NoError(w.t, err)
	cfg.Listener = listen(w.t, at)
	log := newLogger(w.t, logrus.ErrorLevel)
	return cfg.Listener.Addr().String(),
		w.runService(func(ctx context.Context) error { return clusterstate.Run(ctx, cfg, log) })
}

// scheduler is one running daemon-scheduler.
type scheduler struct {
	*system
	url string
	tls *tls.Config // nil for http
	// token is the bearer token of requests; empty for none.
	token string
	stop  func()
}

// startScheduler runs a daemon-scheduler that reads from the cluster-state-service.
func (w *system) startScheduler(css string, flags ...string) *scheduler {
	w.t.Helper()
	args := append([]string{"--etcd-endpoint", w.etcd.Endpoints()[0], "--css-endpoint", css, "--leader-lease", "10s"},
		flags...)
	cfg, err := daemonscheduler.ParseConfig(args, w.getenv, io.Discard)
	require.NoError(w.t, err)
	cfg.Listener = listen(w.t, "127.0.0.1:0")
	log := newLogger(w.t, logrus.InfoLevel)
	d := &scheduler{system: w, url: "http://" + cfg.Listener.Addr().String()}
	d.stop = w.runService(func(ctx context.Context) error { return daemonscheduler.Run(ctx, cfg, log) })
	return d
}

// startServices runs both services.
func (w *system) startServices(flags ...string) *scheduler {
	w.t.Helper()
	address, _ := w.startCSS("127.0.0.1:0")
	return w.startScheduler(address, flags...)
}

// send sends a request and returns the response, whose status the specification has to declare, and its body. Like
// clients of v0.3, it sends no Content-Type.
func (d *scheduler) send(method, path, body string) (*http.Response, string) {
	d.t.Helper()
	return d.sendWith(nil, method, path, body)
}

// sendWith is send with more headers.
func (d *scheduler) sendWith(header http.Header, method, path, body string) (*http.Response, string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, d.url+path, strings.NewReader(body))
	require.NoError(d.t, err)
	if d.token != "" {
		request.Header.Set("Authorization", "Bearer "+d.token)
	}
	maps.Copy(request.Header, header)
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
	spec, err := apiSpec()
	require.NoError(d.t, err)
	spec.CheckStatus(d.t, answer.Request, answer.StatusCode)
	return answer, string(read)
}

// sendValid sends a request and checks the response against the specification.
func (d *scheduler) sendValid(method, path, body string) (*http.Response, string) {
	d.t.Helper()
	answer, read := d.send(method, path, body)
	spec, err := apiSpec()
	require.NoError(d.t, err)
	specMu.Lock()
	defer specMu.Unlock()
	spec.CheckResponse(d.t, answer, []byte(read))
	return answer, read
}

// mustSend sends a request that has to return 200, and decodes the response into v unless that is nil.
func (d *scheduler) mustSend(method, path, body string, v any) {
	d.t.Helper()
	answer, read := d.sendValid(method, path, body)
	require.Equal(d.t, http.StatusOK, answer.StatusCode, read)
	if v != nil {
		require.NoError(d.t, json.Unmarshal([]byte(read), v))
	}
}

func (d *scheduler) getEnvironment(name string) (e models.Environment) {
	d.t.Helper()
	d.mustSend("GET", "/v1/environments/"+name, "", &e)
	return e
}

// createEnvironment creates an environment of the latest agent on prod.
func (d *scheduler) createEnvironment(name string) (e models.Environment) {
	d.t.Helper()
	d.mustSend("POST", "/v1/environments", `{"name":"`+name+
		`","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent"}`, &e)
	return e
}

// deploy creates an environment's deployment and returns its id.
func (d *scheduler) deploy(e models.Environment) string {
	d.t.Helper()
	var created models.Deployment
	path := "/v1/environments/" + *e.Name + "/deployments?deploymentToken=" + e.DeploymentToken
	d.mustSend("POST", path, "", &created)
	return *created.ID
}

func (d *scheduler) getDeployment(name, id string) (deployment models.Deployment) {
	d.t.Helper()
	d.mustSend("GET", "/v1/environments/"+name+"/deployments/"+id, "", &deployment)
	return deployment
}

func (d *scheduler) awaitCompleted(name, id string) {
	d.t.Helper()
	testenv.Eventually(d.t, func() bool {
		return *d.getDeployment(name, id).Status == "completed"
	}, "%s is not completed", name)
}

// liveTasks returns the live tasks whose startedBy is id, by instance.
func (w *system) liveTasks(id string) map[string][]ecssim.Task {
	on := map[string][]ecssim.Task{}
	for _, task := range w.sim.Tasks("prod") {
		if task.StartedBy == id && task.Live() {
			on[task.InstanceARN] = append(on[task.InstanceARN], task)
		}
	}
	return on
}

// awaitOneTaskEach waits until exactly these instances have exactly one RUNNING task of the deployment.
func (w *system) awaitOneTaskEach(id string, instances ...string) {
	w.t.Helper()
	testenv.Eventually(w.t, func() bool {
		on := w.liveTasks(id)
		for _, instance := range instances {
			if len(on[instance]) != 1 || on[instance][0].LastStatus != "RUNNING" {
				return false
			}
		}
		return len(on) == len(instances)
	}, "not one task on each of %v", instances)
}

// assertNoDuplicates fails the test if an instance ever had two live tasks of one deployment.
func (w *system) assertNoDuplicates() {
	w.t.Helper()
	assert.Empty(w.t, w.sim.Counters().Violations)
	assert.Zero(w.t, w.sim.Counters().StartsOnDraining)
	assert.Zero(w.t, w.sim.Counters().StartsOnDisconnected)
}

// putRecord stores a record as v0.3 does.
func (w *system) putRecord(key, value string) {
	w.t.Helper()
	_, err := w.client.Put(w.t.Context(), key, value)
	require.NoError(w.t, err)
}

// ecs returns an SDK client of the simulator, for calls that its Go API lacks.
func (w *system) ecs() *ecs.Client {
	w.t.Helper()
	cfg, err := awsconfig.Load(w.t.Context(), w.getenv)
	require.NoError(w.t, err)
	return ecs.NewFromConfig(cfg, func(o *ecs.Options) {
		o.HTTPClient = awsconfig.BufferBodies(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}})
	})
}

// startTask starts a task of the agent, as another scheduler would, and returns its ARN.
func (w *system) startTask(instance, startedBy string) string {
	w.t.Helper()
	out, err := w.ecs().StartTask(w.t.Context(), &ecs.StartTaskInput{
		Cluster: aws.String("prod"), TaskDefinition: &w.agent, ContainerInstances: []string{instance}, StartedBy: &startedBy,
	})
	require.NoError(w.t, err)
	require.Len(w.t, out.Tasks, 1)
	return *out.Tasks[0].TaskArn
}
