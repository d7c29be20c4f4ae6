package e2e

import (
	"io"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	httptransport "github.com/go-openapi/runtime/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/harness"
	"github.com/blox/blox/internal/testenv"
	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
	operations "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

const (
	shutdownTimeout = time.Minute
	v03Deployment   = "66fee44a-63c3-494e-aa34-476f14b4c4e3"
	v03Task         = "arn:aws:ecs:eu-west-1:123456789012:task/b99d40b3-5176-4f71-9a52-9dbd6f1cebef"
)

// v03Records are an environment and a task as v0.3 stored them.
func v03Records() map[string]string {
	const (
		cluster    = "arn:aws:ecs:us-east-1:123456789012:cluster/default"
		definition = "arn:aws:ecs:us-east-1:123456789012:task-definition/agent:1"
		instance   = "arn:aws:ecs:eu-west-1:123456789012:container-instance/b54a2a04-046f-4331-9d74-3f6d7f6ca315"
		token      = "0a1b2c3d-1111-4222-8333-444455556666"
	)
	environment := `{"Token":"` + token + `","Name":"legacy","DesiredTaskDefinition":"` + definition + `",` +
		`"DesiredTaskCount":1,"Cluster":"` + cluster + `","Health":0,"PendingDeploymentID":"",` +
		`"InProgressDeploymentID":"` + v03Deployment + `","Deployments":{"` + v03Deployment + `":{` +
		`"ID":"` + v03Deployment + `","Status":2,"Health":0,"TaskDefinition":"` + definition + `","DesiredTaskCount":1,` +
		`"Token":"` + token + `","FailedInstances":null,` +
		`"StartTime":"2017-02-06T16:41:00Z","EndTime":"2017-02-06T16:42:00Z"}}}`
	task := `{"version":null,"id":null,"detail-type":null,"Detail":{` +
		`"clusterArn":"arn:aws:ecs:eu-west-1:123456789012:cluster/prod","containerInstanceArn":"` + instance + `",` +
		`"containers":[{"containerArn":"x","lastStatus":"RUNNING","name":"a","Reason":"why","networkBindings":[` +
		`{"bindIP":"0.0.0.0","ContainerPort":80,"HostPort":8080,"Protocol":"tcp"}]}],` +
		`"createdAt":"2017-02-06T16:41:06.991Z","desiredStatus":"RUNNING","lastStatus":"RUNNING",` +
		`"overrides":{"containerOverrides":[{"Name":"a","Environment":[{"Name":"K","Value":"V"}]}]},` +
		`"taskArn":"` + v03Task + `",` +
		`"taskDefinitionArn":"arn:aws:ecs:eu-west-1:123456789012:task-definition/x:1","version":2}}`
	return map[string]string{"ecs/environment/legacy": environment, "ecs/task/prod/" + v03Task: task}
}

// v03System runs the services as v0.3 is run: two processes with its flags and variables, an etcd with its records, and
// an ECS elsewhere.
type v03System struct {
	t            *testing.T
	etcd         string
	css, ds, ecs string // host:port
	env          []string
	client       *http.Client
	cssAPI       css.ClientService
	dsAPI        operations.ClientService
}

func newV03System(t *testing.T) *v03System {
	t.Helper()
	etcd := testenv.EtcdServer(t)
	client := etcd.Client()
	for key, value := range v03Records() {
		_, err := client.Put(t.Context(), key, value)
		require.NoError(t, err)
	}
	s := &v03System{
		t: t, etcd: etcd.Endpoints()[0], client: &http.Client{},
		css: testenv.FreeAddress(t), ds: testenv.FreeAddress(t), ecs: testenv.FreeAddress(t),
	}
	t.Cleanup(s.client.CloseIdleConnections)
	s.env = []string{
		"AWS_REGION=us-east-1", "AWS_ENDPOINT_URL=http://" + s.ecs, "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x",
		"CSS_LOG_LEVEL=warn", "DS_LOG_LEVEL=warn", "CSS_LOG_FILE=" + filepath.Join(t.TempDir(), "css.log"),
	}
	transport := func(address string) *httptransport.Runtime {
		return httptransport.NewWithClient(address, "/v1", []string{"http"}, s.client)
	}
	s.cssAPI, s.dsAPI = css.New(transport(s.css), nil), operations.New(transport(s.ds), nil)
	return s
}

func (s *v03System) startCSS() *harness.Process {
	return testenv.Program(s.t, s.env, "cluster-state-service",
		"--bind", s.css, "--etcd-endpoint", s.etcd, "--queue", "blox_queue")
}

func (s *v03System) startDS() *harness.Process {
	return testenv.Program(s.t, s.env, "daemon-scheduler",
		"--bind", s.ds, "--css-endpoint", s.css, "--etcd-endpoint", s.etcd)
}

func (s *v03System) startSimulator() {
	s.t.Helper()
	p := testenv.Program(s.t, nil, "ecs-sim", "--bind", s.ecs, "--instances", "3")
	require.NoError(s.t, p.AwaitReady(s.t.Context(), "http://"+s.ecs+"/_sim/ping", time.Minute))
	s.postToSimulator("/_sim/task-definitions?family=agent")
}

func (s *v03System) postToSimulator(path string) {
	s.t.Helper()
	response, err := s.client.Post("http://"+s.ecs+path, "", nil)
	require.NoError(s.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, response.StatusCode, "%s", body)
}

// awaitTasks returns when n tasks of v0.3's deployment run.
func (s *v03System) awaitTasks(n int) {
	s.t.Helper()
	testenv.Eventually(s.t, func() bool {
		cluster, status, startedBy := "default", "RUNNING", v03Deployment
		list, err := s.cssAPI.ListTasks(
			css.NewListTasksParams().WithCluster(&cluster).WithStatus(&status).WithStartedBy(&startedBy))
		return err == nil && len(list.Payload.Items) == n
	}, "not %d tasks of v0.3's deployment", n)
}

func TestServices_ContinueWithRecordsOfV03(t *testing.T) {
	s := newV03System(t)
	scheduler, state := s.startDS(), s.startCSS() // in any order: each waits for the others
	s.startSimulator()
	testenv.Eventually(t, func() bool { _, err := s.cssAPI.Ready(css.NewReadyParams()); return err == nil })
	testenv.Eventually(t, func() bool { _, err := s.dsAPI.Ready(operations.NewReadyParams()); return err == nil })

	task, err := s.cssAPI.GetTask(css.NewGetTaskParams().WithCluster("prod").WithArn(v03Task))
	require.NoError(t, err, "the generated client encodes the ARN")
	assert.Equal(t, "why", task.Payload.Entity.Containers[0].Reason)
	assert.Equal(t, "V", *task.Payload.Entity.Overrides.ContainerOverrides[0].Environment[0].Value)
	s.awaitTasks(3)

	state.Kill()
	scheduler.Kill()
	s.postToSimulator("/_sim/instances?cluster=default&count=2")
	state, scheduler = s.startCSS(), s.startDS()
	s.awaitTasks(5) // nothing is lost while both are down

	for name, p := range map[string]*harness.Process{"cluster-state-service": state, "daemon-scheduler": scheduler} {
		assert.Zero(t, p.Stop(syscall.SIGTERM, shutdownTimeout), "%s shuts down cleanly", name)
	}
}
