package e2e

import (
	"cmp"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/ecssim/conformance"
	"github.com/blox/blox/internal/etcd/embedded"
	"github.com/blox/blox/internal/testenv"
	v1 "github.com/blox/blox/swagger/cluster-state-service/v1"
)

var apiSpec = sync.OnceValues(func() (*testenv.Spec, error) { return testenv.NewSpec(v1.JSON) })

// system is a simulated ECS with its queue, a real etcd, and cluster-state-services between them.
type system struct {
	t      testing.TB
	region string
	sim    *ecssim.Sim
	aws    *httptest.Server
	etcd   *testenv.Server
	client *clientv3.Client
	spec   *testenv.Spec
}

func newSystem(t testing.TB, cfg ecssim.Config, etcd ...embedded.Options) *system {
	t.Helper()
	spec, err := apiSpec()
	require.NoError(t, err)
	w := &system{t: t, etcd: testenv.EtcdServer(t, etcd...), spec: spec}
	w.client = w.etcd.Client()
	w.simulate(cfg)
	return w
}

// simulate starts the simulated ECS.
func (w *system) simulate(cfg ecssim.Config) {
	w.region = cmp.Or(cfg.Region, "us-east-1")
	w.sim = ecssim.New(cfg)
	validated := conformance.New(w.sim)
	w.aws = httptest.NewServer(validated)
	w.t.Cleanup(func() {
		w.sim.Close()
		w.aws.Close()
		w.t.Logf("AWS calls validated: %+v", validated.Total())
		assert.Empty(w.t, validated.Violations(), "calls and answers conform to the API models")
	})
}

// beside returns a system with an ECS and a queue of its own that shares etcd with w.
func (w *system) beside(cfg ecssim.Config) *system {
	other := &system{t: w.t, etcd: w.etcd, client: w.client, spec: w.spec}
	other.simulate(cfg)
	return other
}

func (w *system) ecs() *ecs.Client {
	return ecs.New(ecs.Options{Region: w.region, BaseEndpoint: &w.aws.URL, Credentials: aws.AnonymousCredentials{},
		HTTPClient: awsconfig.BufferBodies(w.aws.Client())})
}

func (w *system) sqs() (*sqs.Client, *string) {
	w.t.Helper()
	client := sqs.New(sqs.Options{Region: w.region, BaseEndpoint: &w.aws.URL, Credentials: aws.AnonymousCredentials{},
		HTTPClient: awsconfig.BufferBodies(w.aws.Client())})
	found, err := client.GetQueueUrl(w.t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("blox_queue")})
	require.NoError(w.t, err)
	return client, found.QueueUrl
}

func (w *system) sendMessage(body string) {
	w.t.Helper()
	client, queue := w.sqs()
	_, err := client.SendMessage(w.t.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: &body})
	require.NoError(w.t, err)
}

// messageCount returns the number of messages in the queue, received or not.
func (w *system) messageCount() int {
	w.t.Helper()
	client, queue := w.sqs()
	out, err := client.GetQueueAttributes(w.t.Context(),
		&sqs.GetQueueAttributesInput{QueueUrl: queue, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
	require.NoError(w.t, err)
	sum := 0
	for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"} {
		n, err := strconv.Atoi(out.Attributes[name])
		require.NoError(w.t, err)
		sum += n
	}
	return sum
}

// putRecord stores a record as v0.3 does and returns its entity version.
func (w *system) putRecord(key, value string) int64 {
	w.t.Helper()
	answer, err := w.client.Put(w.t.Context(), key, value)
	require.NoError(w.t, err)
	return answer.Header.Revision
}

// startTasks starts a task on each instance, as a scheduler does.
func (w *system) startTasks(definition string, instances ...string) []string {
	w.t.Helper()
	out, err := w.ecs().StartTask(w.t.Context(),
		&ecs.StartTaskInput{TaskDefinition: &definition, ContainerInstances: instances, StartedBy: aws.String("test")})
	require.NoError(w.t, err)
	require.Empty(w.t, out.Failures)
	var started []string
	for _, task := range out.Tasks {
		started = append(started, *task.TaskArn)
	}
	return started
}

// ecsState returns the last status of every record in the simulator, by ARN.
func (w *system) ecsState() map[string]string {
	truth := map[string]string{}
	for _, task := range w.sim.Tasks("") {
		truth[task.ARN] = task.LastStatus
	}
	for _, instance := range w.sim.Instances("") {
		truth[instance.ARN] = instance.Status
	}
	return truth
}

// revision returns etcd's current revision.
func (w *system) revision(t *testing.T) int64 {
	t.Helper()
	got, err := w.client.Get(t.Context(), "nothing")
	require.NoError(t, err)
	return got.Header.Revision
}
