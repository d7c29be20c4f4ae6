package local

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	httptransport "github.com/go-openapi/runtime/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/blox/blox/internal/testenv"
	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
	cssmodels "github.com/blox/blox/swagger/cluster-state-service/v1/models"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	dsmodels "github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// local is a running blox-local.
type local struct {
	t            *testing.T
	css, ds, sim string // URLs
	welcome      string // printed lines, up to the address of etcd
	cssAPI       css.ClientService
	dsAPI        ds.ClientService
	stop         func()
	client       *http.Client
}

// startLocal runs blox-local on free ports until the test ends. It reads the addresses from the output.
func startLocal(t *testing.T, args ...string) *local {
	t.Helper()
	out, in := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		args = append([]string{"--css-bind", "127.0.0.1:0", "--ds-bind", "127.0.0.1:0", "--ecs-bind", "127.0.0.1:0"}, args...)
		assert.NoError(t, Run(ctx, args, in))
		_ = in.Close()
	})
	l := &local{t: t, client: &http.Client{Timeout: 30 * time.Second}}
	lines := bufio.NewScanner(out)
	for !strings.Contains(l.welcome, "  etcd ") {
		require.True(t, lines.Scan(), "it prints its addresses")
		l.welcome += lines.Text() + "\n"
		url := regexp.MustCompile(`http://[0-9.:]+`).FindString(lines.Text())
		switch {
		case strings.Contains(lines.Text(), "cluster-state-service"):
			l.css = url
		case strings.Contains(lines.Text(), "daemon-scheduler"):
			l.ds = url
		case strings.Contains(lines.Text(), "simulated"):
			l.sim = url
		}
	}
	var rest sync.WaitGroup
	rest.Go(func() {
		for lines.Scan() {
		}
	})
	l.stop = sync.OnceFunc(func() { l.client.CloseIdleConnections(); cancel(); running.Wait(); rest.Wait() })
	t.Cleanup(l.stop)
	l.createClients()
	return l
}

// createClients creates the generated clients.
func (l *local) createClients() {
	transport := func(url string) *httptransport.Runtime {
		return httptransport.NewWithClient(strings.TrimPrefix(url, "http://"), "/v1", []string{"http"}, l.client)
	}
	l.cssAPI, l.dsAPI = css.New(transport(l.css), nil), ds.New(transport(l.ds), nil)
}

// tasks returns the running tasks by container instance.
func (l *local) tasks() map[string][]*cssmodels.TaskDetail {
	l.t.Helper()
	status := "running"
	list, err := l.cssAPI.ListTasks(css.NewListTasksParams().WithStatus(&status))
	require.NoError(l.t, err)
	byInstance := map[string][]*cssmodels.TaskDetail{}
	for _, task := range list.Payload.Items {
		byInstance[*task.Entity.ContainerInstanceARN] = append(byInstance[*task.Entity.ContainerInstanceARN], task.Entity)
	}
	return byInstance
}

// awaitOneTaskEach waits until each of n instances has exactly one running task.
func (l *local) awaitOneTaskEach(n int) map[string][]*cssmodels.TaskDetail {
	l.t.Helper()
	var tasks map[string][]*cssmodels.TaskDetail
	testenv.Eventually(l.t, func() bool {
		tasks = l.tasks()
		for _, on := range tasks {
			if len(on) != 1 {
				return false
			}
		}
		return len(tasks) == n
	}, "not one task on each of %d instances", n)
	return tasks
}

// postToSimulator calls the simulator's control API.
func (l *local) postToSimulator(path string) {
	l.t.Helper()
	answer, err := l.client.Post(l.sim+path, "", nil)
	require.NoError(l.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(l.t, err)
	require.Equal(l.t, http.StatusOK, answer.StatusCode, "%s", body)
}

// deploy creates an environment and a deployment of it.
func (l *local) deploy(name string) *dsmodels.Deployment {
	l.t.Helper()
	cluster, definition := "default", "agent:1"
	request := &dsmodels.CreateEnvironmentRequest{
		Name: &name, InstanceGroup: &dsmodels.InstanceGroup{Cluster: cluster}, TaskDefinition: &definition,
	}
	environment, err := l.dsAPI.CreateEnvironment(ds.NewCreateEnvironmentParams().WithBody(request))
	require.NoError(l.t, err)
	deployment, err := l.dsAPI.CreateDeployment(ds.NewCreateDeploymentParams().WithName(name).
		WithDeploymentToken(environment.Payload.DeploymentToken))
	require.NoError(l.t, err)
	return deployment.Payload
}

// The README's walkthrough: deploy, add an instance, kill a task, watch.
func TestRun_ServesTheWalkthrough(t *testing.T) {
	l := startLocal(t, "--instances", "3")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.css+"/v1/stream/tasks", nil)
	require.NoError(t, err)
	stream, err := (&http.Client{Transport: l.client.Transport}).Do(request)
	require.NoError(t, err)
	defer stream.Body.Close()

	deployment := l.deploy("web-agent")
	assert.Equal(t, "pending", *deployment.Status)
	first := l.awaitOneTaskEach(3)
	for _, on := range first {
		assert.Equal(t, *deployment.ID, on[0].StartedBy)
	}
	testenv.Eventually(t, func() bool {
		got, err := l.dsAPI.GetDeployment(ds.NewGetDeploymentParams().WithName("web-agent").WithID(*deployment.ID))
		require.NoError(t, err)
		return *got.Payload.Status == "completed"
	})

	l.postToSimulator("/_sim/instances?cluster=default&count=1")
	l.awaitOneTaskEach(4)
	for _, on := range first {
		l.postToSimulator("/_sim/tasks/kill?exitCode=1&task=" + *on[0].TaskARN)
		testenv.Eventually(t, func() bool {
			now := l.tasks()[*on[0].ContainerInstanceARN]
			return len(now) == 1 && *now[0].TaskARN != *on[0].TaskARN
		}, "the task is not replaced")
		break
	}
	l.awaitOneTaskEach(4)

	// The stream contains every change.
	running, stopped := map[string]bool{}, 0
	for lines := bufio.NewScanner(stream.Body); len(running) < 5 || stopped < 1; {
		require.True(t, lines.Scan(), "%v", lines.Err())
		var task cssmodels.Task
		require.NoError(t, json.Unmarshal(lines.Bytes(), &task))
		switch *task.Entity.LastStatus {
		case "RUNNING":
			running[*task.Entity.TaskARN] = true
		case "STOPPED":
			stopped++
		}
	}
	assert.Len(t, running, 5)
}

func TestRun_StopsWhileStreamsAreOpen(t *testing.T) {
	l := startLocal(t)
	stream, err := http.Get(l.css + "/v1/stream/tasks")
	require.NoError(t, err)
	defer stream.Body.Close()
	l.stop()
	_, err = io.ReadAll(stream.Body)
	assert.NoError(t, err)
	http.DefaultClient.CloseIdleConnections()
}

func TestRun_RejectsInvalidSettings(t *testing.T) {
	for _, args := range [][]string{
		{"--css-bind", "x"}, {"--instances", "-1"}, {"--log-level", "loud"}, {"--colour"}, {"more"},
	} {
		err := Run(t.Context(), args, io.Discard)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "\n")
	}
	taken := startLocal(t, "--instances", "0")
	err := Run(t.Context(), []string{"--ds-bind", "127.0.0.1:0", "--ecs-bind", "127.0.0.1:0",
		"--css-bind", strings.TrimPrefix(taken.css, "http://")}, io.Discard)
	assert.ErrorContains(t, err, "--css-bind")
	var help strings.Builder
	assert.ErrorIs(t, Run(t.Context(), []string{"--help"}, &help), flag.ErrHelp)
	assert.Contains(t, help.String(), "-instances")
}
