package monitoring

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.uber.org/goleak"

	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/etcd/embedded"
	"github.com/blox/blox/internal/testenv"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		testenv.RemovePrograms()
		os.Exit(code)
	}))
}

// etcdQuota is small, so that a test fills it quickly.
const etcdQuota = 16 << 20

// firing is a system that a Prometheus watches.
type firing struct {
	*system
	*promServer
	ca *testenv.CA
	// receiver receives events, and returns receiverStatus.
	receiver       *httptest.Server
	receiverStatus atomic.Int64
}

// fire has the alerts fired: it takes ten minutes, as each has to last for its time and to end.
var fire = flag.Bool("fire", false, "make each alert fire on the simulator")

func newFiring(t *testing.T) *firing {
	t.Helper()
	if !*fire {
		t.Skip("takes ten minutes: make alerts")
	}
	f := &firing{system: newSystem(t, embedded.Options{Quota: etcdQuota}), ca: testenv.NewCA(t)}
	f.system.tls = f.ca.Files("client", testenv.Leaf{NotAfter: time.Now().Add(90 * 24 * time.Hour)})
	f.sim.AddInstances("default", 3)
	f.startCSS("--reconcile-interval", "2s")
	f.startReceiver()
	f.startDS("--event-webhook", f.receiver.URL)
	probe := testenv.FreeAddress(t)
	testenv.Program(t, nil, "blox", "probe", "--read-only", "--interval", "1s", "--metrics-bind", probe,
		"--endpoint", f.ds.url(), "--css-endpoint", f.css.url())
	f.promServer = startPrometheus(t, map[string]string{
		"cluster-state-service": f.css.address, "daemon-scheduler": f.ds.address, "blox-probe": probe,
	})
	return f
}

// Each alert fires for a fault of its kind, with a real Prometheus that scrapes both services and the probe. Before the
// first fault no alert is active, and alerts end with the faults that can be undone.
func TestAlerts_FireForTheirFaults(t *testing.T) {
	f := newFiring(t)
	id := f.deploy()
	f.awaitCompleted(id)
	testenv.Eventually(t, func() bool { return f.query("sum(up)") == "3" && f.query("sum(blox_ds_leader)") == "1" })
	f.awaitSilence()

	for _, fault := range []struct {
		name  string
		cause func(f *firing)
	}{
		{"calls of ECS that read", refuseReads},
		{"a queue that fails", failQueue},
		{"credentials that expired", expireCredentials},
		{"throttled starts", throttleStarts},
		{"starts that fail", failStarts},
		{"a duplicate that cannot be stopped", duplicate},
		{"a receiver of events that fails", failReceiver},
		{"a canary", waitForPromotion},
		{"a rollout that is stuck", stickRollout},
		{"a circuit breaker", tripCircuitBreaker},
		{"a cluster-state-service that is down", stopCSS},
		{"an etcd that is down", stopEtcd},
		{"certificates", expireCertificates},
		{"an access file that is broken", breakAccessFile},
		{"a sources file that is broken", breakSourcesFile},
		{"an etcd that is wiped", wipeEtcd},
		{"an etcd that is full", fillEtcd},
	} {
		t.Logf("fault: %s", fault.name)
		fault.cause(f)
	}
	f.assertAllFired()
}

// change patches the environment and deploys the new revision.
func (f *firing) change(patch string) (id string) {
	f.system.t.Helper()
	var before, after deployment
	f.send(http.MethodGet, "/v1/environments/logs", "", &before)
	f.send(http.MethodPatch, "/v1/environments/logs?deploymentToken="+before.DeploymentToken, patch, &after)
	return f.deployToken(after.DeploymentToken)
}

// endFaults ends all faults of the simulator, and waits until no alert is active.
func (f *firing) endFaults() {
	f.system.t.Helper()
	f.sim.SetFaults(ecssim.Faults{})
	f.awaitSilence()
}

// killTask ends a task, which daemon-scheduler then replaces.
func (f *firing) killTask() {
	f.system.t.Helper()
	for _, task := range f.sim.Tasks("default") {
		if task.Live() {
			require.NoError(f.system.t, f.sim.KillTask(task.ARN, 1))
			return
		}
	}
	require.FailNow(f.system.t, "no task is live")
}

func refuse(code string, actions ...string) ecssim.Faults {
	refusals := map[string]ecssim.Refusal{}
	for _, action := range actions {
		refusals[action] = ecssim.Refusal{Code: code, Fraction: 1}
	}
	return ecssim.Faults{Refusals: refusals}
}

func refuseReads(f *firing) {
	f.sim.SetFaults(refuse("AccessDeniedException", "ListTasks", "ListContainerInstances"))
	f.sim.CreateCluster("new")
	f.sim.AddInstances("new", 1) // an empty cluster needs no call
	f.awaitFiring("BloxClusterNotReconciled", "BloxClusterReconcileFailing", "BloxReconciliationOverdue")
	f.endFaults()
}

func failQueue(f *firing) {
	f.sim.SetFaults(ecssim.Faults{ServerErrors: map[string]float64{"ReceiveMessage": 1}})
	f.awaitFiring("BloxQueueNotReadable")
	f.endFaults()
}

func expireCredentials(f *firing) {
	f.sim.SetFaults(refuse("ExpiredTokenException", "StartTask"))
	f.killTask()
	f.awaitFiring("BloxECSCallsFailing", "BloxDaemonsMissing", "BloxEnvironmentReconcileFailing")
	f.endFaults()
}

func (f *firing) startReceiver() {
	f.receiverStatus.Store(http.StatusOK)
	f.receiver = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(f.receiverStatus.Load()))
	}))
	f.system.t.Cleanup(f.receiver.Close)
}

func failReceiver(f *firing) {
	f.receiverStatus.Store(http.StatusServiceUnavailable)
	f.send(http.MethodPost, "/v1/environments/logs/pause", "", nil)
	f.awaitFiring("BloxEventDeliveryFailing")
	f.receiverStatus.Store(http.StatusUnprocessableEntity)
	f.send(http.MethodPost, "/v1/environments/logs/resume", "", nil)
	f.awaitFiring("BloxEventsNotDelivered")
	f.receiverStatus.Store(http.StatusOK)
	f.endFaults()
}

func throttleStarts(f *firing) {
	f.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"StartTask": 1}})
	f.killTask()
	f.awaitFiring("BloxThrottled")
	f.endFaults()
}

func failStarts(f *firing) {
	f.sim.SetFaults(ecssim.Faults{StartFailures: 1})
	f.killTask()
	f.awaitFiring("BloxEnvironmentUnhealthy")
	f.endFaults()
}

// duplicate starts a task as another program might, with the deployment's id, while Blox cannot stop it.
func duplicate(f *firing) {
	t := f.system.t
	f.sim.SetFaults(refuse("AccessDeniedException", "StopTask"))
	cfg, err := awsconfig.Load(t.Context(), f.getenv)
	require.NoError(t, err)
	client := ecs.NewFromConfig(cfg, func(o *ecs.Options) {
		o.HTTPClient = awsconfig.BufferBodies(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}})
	})
	task := f.sim.Tasks("default")[0]
	for _, one := range f.sim.Tasks("default") {
		if one.Live() {
			task = one
		}
	}
	_, err = client.StartTask(t.Context(), &ecs.StartTaskInput{
		Cluster: aws.String("default"), TaskDefinition: aws.String("agent"), StartedBy: &task.StartedBy,
		ContainerInstances: []string{task.InstanceARN},
	})
	require.NoError(t, err)
	f.awaitFiring("BloxDuplicateDaemons")
	f.endFaults()
}

func waitForPromotion(f *firing) {
	f.sim.RegisterTaskDefinition("agent", ecssim.WithMemory(64))
	id := f.change(`{"taskDefinition":"agent","deploymentConfiguration":{"canary":{"percent":34}}}`)
	f.awaitFiring("BloxCanaryWaiting")
	f.send(http.MethodPost, "/v1/environments/logs/deployments/"+id+"/promote", "", &deployment{})
	f.awaitCompleted(id)
	f.awaitSilence()
}

func stickRollout(f *firing) {
	f.sim.SetFaults(ecssim.Faults{StartFailures: 1})
	f.sim.RegisterTaskDefinition("agent", ecssim.WithMemory(64))
	// A patch keeps fields that it does not name. With its canary, the deployment would wait for a promotion instead.
	id := f.change(`{"taskDefinition":"agent","deploymentConfiguration":{"canary":null}}`)
	f.awaitFiring("BloxRolloutStuck")
	f.sim.SetFaults(ecssim.Faults{})
	f.awaitCompleted(id)
	f.awaitSilence()
}

func tripCircuitBreaker(f *firing) {
	f.sim.RegisterTaskDefinition("fails")
	f.sim.SetFaults(ecssim.Faults{FailToRun: map[string]float64{"fails": 1}})
	f.change(`{"taskDefinition":"fails","deploymentConfiguration":{"deploymentCircuitBreaker":` +
		`{"enable":true,"rollback":true,"threshold":1}}}`)
	f.awaitFiring("BloxDeploymentFailed")
	f.sim.SetFaults(ecssim.Faults{})
	f.awaitCompleted(f.change(`{"taskDefinition":"agent"}`))
	f.awaitSilence()
}

func stopCSS(f *firing) {
	f.css.stop()
	f.awaitFiring("BloxTargetDown", "BloxClusterStateStale", "BloxProbeFailing")
	f.startCSS("--reconcile-interval", "2s")
	f.awaitSilence()
}

// stopEtcd ends the leader's term. Events wait in the queue until etcd is back.
func stopEtcd(f *firing) {
	f.etcd.Stop()
	f.awaitFiring("BloxNoLeader")
	f.killTask()
	time.Sleep(2 * time.Second) // the least age of an event that the alert reports, and more
	f.etcd.Start()
	f.awaitFiring("BloxEventsDelayed")
	f.awaitSilence()
}

func expireCertificates(f *firing) {
	f.ca.Files("client", testenv.Leaf{NotAfter: time.Now().Add(12 * time.Hour)})
	f.awaitFiring("BloxCertificateExpiresSoon", "BloxCertificateExpiresToday")
	f.ca.Files("client", testenv.Leaf{NotAfter: time.Now().Add(90 * 24 * time.Hour)})
	f.awaitSilence()
}

func breakAccessFile(f *firing) {
	breakFile(f, "BloxAccessFileInvalid", "access.yml",
		"tokens: [{name: ci, role: admin, sha256: "+strings.Repeat("0", 64)+"}]", "tokens: ci",
		func(file string) { f.startCSS("--reconcile-interval", "2s", "--access-file", file) })
}

func breakSourcesFile(f *firing) {
	breakFile(f, "BloxSourcesFileInvalid", "sources.yml",
		"sources: [{region: us-east-1, queue: blox_queue}]", "sources: us-east-1",
		func(file string) { f.startCSSOf("--reconcile-interval", "2s", "--sources-file", file) })
}

// breakFile starts cluster-state-service with a valid file, and replaces that by an invalid one.
func breakFile(f *firing, alert, name, valid, invalid string, start func(file string)) {
	file := filepath.Join(f.system.t.TempDir(), name)
	write := func(text string) { require.NoError(f.system.t, os.WriteFile(file, []byte(text), 0o600)) }
	write(valid)
	f.css.stop()
	start(file)
	f.awaitAnswer(f.css) // it has read the file, so the next one is a reload
	write(invalid)
	f.awaitFiring(alert)
	f.css.stop()
	f.startCSS("--reconcile-interval", "2s")
	f.awaitSilence()
}

func wipeEtcd(f *firing) {
	f.etcd.Stop()
	f.etcd.Wipe()
	f.etcd.Start()
	f.awaitFiring("BloxEtcdDataReplaced") // which lasts an hour
}

func fillEtcd(f *firing) {
	t := f.system.t
	client, value := f.etcd.Client(), strings.Repeat("x", 16<<10)
	put := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := client.Put(ctx, fmt.Sprint("filler/", time.Now().UnixNano()), value)
		return err
	}
	size := func() int64 {
		status, err := client.Status(t.Context(), f.etcd.Endpoints()[0])
		require.NoError(t, err)
		return status.DbSize
	}
	for size() < etcdQuota*85/100 { // one by one: etcd writes more than the values
		require.NoError(t, put())
	}
	f.awaitFiring("BloxEtcdSpaceLow")
	err := put()
	for err == nil {
		err = put()
	}
	require.ErrorIs(t, err, rpctypes.ErrNoSpace)
	f.awaitFiring("BloxEtcdOutOfSpace")
}
