package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

// programs builds the commands once for all tests and returns the folder.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "blox-programs-")
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", dir, "github.com/blox/blox/cmd/...")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

// process is a running program.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	log bytes.Buffer
}

// execute runs a program until the test ends.
func execute(t *testing.T, environment []string, name string, args ...string) *process {
	t.Helper()
	dir, err := programs()
	require.NoError(t, err)
	p := &process{t: t, cmd: exec.Command(filepath.Join(dir, name), args...)}
	p.cmd.Env = append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}, environment...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		p.end(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("%s: %s", name, p.log.String())
		}
	})
	return p
}

// end sends the signal and returns the exit code once the process has ended.
func (p *process) end(signal os.Signal) int {
	_ = p.cmd.Process.Signal(signal)
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// The services as v0.3 is run: two binaries with its flags and variables, an etcd with its records, an ECS elsewhere.
func TestServicesApartWithRecordsOfV03(t *testing.T) {
	const (
		cluster    = "arn:aws:ecs:us-east-1:123456789012:cluster/default"
		definition = "arn:aws:ecs:us-east-1:123456789012:task-definition/agent:1"
		deployment = "66fee44a-63c3-494e-aa34-476f14b4c4e3"
		other      = "arn:aws:ecs:eu-west-1:123456789012:task/b99d40b3-5176-4f71-9a52-9dbd6f1cebef"
	)
	etcd := testenv.EtcdServer(t)
	put := func(key, value string) {
		_, err := etcd.Client().Put(t.Context(), key, value)
		require.NoError(t, err)
	}
	put("ecs/environment/legacy", `{"Token":"0a1b2c3d-1111-4222-8333-444455556666","Name":"legacy","DesiredTaskDefinition":"`+definition+
		`","DesiredTaskCount":1,"Cluster":"`+cluster+`","Health":0,"PendingDeploymentID":"","InProgressDeploymentID":"`+deployment+
		`","Deployments":{"`+deployment+`":{"ID":"`+deployment+`","Status":2,"Health":0,"TaskDefinition":"`+definition+`","DesiredTaskCount":1,`+
		`"Token":"0a1b2c3d-1111-4222-8333-444455556666","FailedInstances":null,"StartTime":"2017-02-06T16:41:00Z","EndTime":"2017-02-06T16:42:00Z"}}}`)
	put("ecs/task/prod/"+other, `{"version":null,"id":null,"detail-type":null,"Detail":{"clusterArn":"arn:aws:ecs:eu-west-1:123456789012:cluster/prod",`+
		`"containerInstanceArn":"arn:aws:ecs:eu-west-1:123456789012:container-instance/b54a2a04-046f-4331-9d74-3f6d7f6ca315",`+
		`"containers":[{"containerArn":"x","lastStatus":"RUNNING","name":"a","Reason":"why","networkBindings":[{"bindIP":"0.0.0.0","ContainerPort":80,"HostPort":8080,"Protocol":"tcp"}]}],`+
		`"createdAt":"2017-02-06T16:41:06.991Z","desiredStatus":"RUNNING","lastStatus":"RUNNING","overrides":{"containerOverrides":[{"Name":"a","Environment":[{"Name":"K","Value":"V"}]}]},`+
		`"taskArn":"`+other+`","taskDefinitionArn":"arn:aws:ecs:eu-west-1:123456789012:task-definition/x:1","version":2}}`)

	addresses := struct{ css, ds, ecs string }{testenv.Address(t), testenv.Address(t), testenv.Address(t)}
	environment := []string{
		"AWS_REGION=us-east-1", "AWS_ENDPOINT_URL=http://" + addresses.ecs, "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x",
		"CSS_LOG_LEVEL=warn", "DS_LOG_LEVEL=warn", "CSS_LOG_FILE=" + filepath.Join(t.TempDir(), "css.log"),
	}
	startCSS := func() *process {
		return execute(t, environment, "cluster-state-service", "--bind", addresses.css, "--etcd-endpoint", etcd.Endpoints()[0], "--queue", "blox_queue")
	}
	startDS := func() *process {
		return execute(t, environment, "daemon-scheduler", "--bind", addresses.ds, "--css-endpoint", addresses.css, "--etcd-endpoint", etcd.Endpoints()[0])
	}
	l := &local{t: t, css: "http://" + addresses.css, ds: "http://" + addresses.ds, sim: "http://" + addresses.ecs, client: &http.Client{}}
	t.Cleanup(l.client.CloseIdleConnections)
	l.connect()
	scheduler := startDS() // whichever comes first waits for the others
	state := startCSS()
	execute(t, nil, "ecs-sim", "--bind", addresses.ecs, "--instances", "3")
	testenv.Eventually(t, func() bool {
		answer, err := l.client.Get(l.sim + "/_sim/ping")
		if err == nil {
			answer.Body.Close()
		}
		return err == nil
	})
	l.control("/_sim/task-definitions?family=agent")
	testenv.Eventually(t, func() bool { _, err := l.cssAPI.Ready(css.NewReadyParams()); return err == nil })
	testenv.Eventually(t, func() bool { _, err := l.dsAPI.Ready(ds.NewReadyParams()); return err == nil })

	got, err := l.cssAPI.GetTask(css.NewGetTaskParams().WithCluster("prod").WithArn(other))
	require.NoError(t, err, "the generated client encodes the ARN")
	assert.Equal(t, "why", got.Payload.Entity.Containers[0].Reason)
	assert.Equal(t, "V", *got.Payload.Entity.Overrides.ContainerOverrides[0].Environment[0].Value)
	ofLegacy := func(n int) {
		t.Helper()
		testenv.Eventually(t, func() bool {
			cluster, status, by := "default", "RUNNING", deployment
			list, err := l.cssAPI.ListTasks(css.NewListTasksParams().WithCluster(&cluster).WithStatus(&status).WithStartedBy(&by))
			return err == nil && len(list.Payload.Items) == n
		}, "not %d tasks of v0.3's deployment", n)
	}
	ofLegacy(3)

	// Both are killed while something happens, and lose nothing.
	state.end(syscall.SIGKILL)
	scheduler.end(syscall.SIGKILL)
	l.control("/_sim/instances?cluster=default&count=2")
	state, scheduler = startCSS(), startDS()
	ofLegacy(5)

	for name, p := range map[string]*process{"cluster-state-service": state, "daemon-scheduler": scheduler} {
		assert.Zero(t, p.end(syscall.SIGTERM), "%s ends cleanly", name)
	}
}

func TestMissingOrWrongFlagsAreOneClearLine(t *testing.T) {
	for _, tc := range []struct {
		program string
		args    []string
		want    []string
	}{
		{"cluster-state-service", nil, []string{"--etcd-endpoint", "--queue"}},
		{"cluster-state-service", []string{"--queue", "q", "--etcd-endpoint", "nowhere"}, []string{"--etcd-endpoint", "nowhere"}},
		{"cluster-state-service", []string{"--queue", "q", "--etcd-endpoint", "127.0.0.1:1"}, []string{"AWS_REGION"}},
		{"daemon-scheduler", nil, []string{"--etcd-endpoint", "--css-endpoint"}},
		{"daemon-scheduler", []string{"--css-endpoint", "x", "--etcd-endpoint", "127.0.0.1:1"}, []string{"--css-endpoint"}},
		{"daemon-scheduler", []string{"--css-endpoint", "127.0.0.1:1", "--etcd-endpoint", "127.0.0.1:1"}, []string{"AWS_REGION"}},
		{"ecs-sim", []string{"--colour"}, []string{"colour"}},
		{"blox-local", []string{"--instances", "x"}, []string{"instances"}},
	} {
		t.Run(tc.program+strings.Join(tc.args, " "), func(t *testing.T) {
			p := execute(t, nil, tc.program, tc.args...)
			_ = p.cmd.Wait()
			assert.Equal(t, 1, p.cmd.ProcessState.ExitCode())
			assert.Equal(t, 1, strings.Count(p.log.String(), "\n"), p.log.String())
			for _, want := range tc.want {
				assert.Contains(t, p.log.String(), want)
			}
		})
	}
}

func TestVersionAndHelp(t *testing.T) {
	for _, program := range []string{"cluster-state-service", "daemon-scheduler"} {
		for _, flag := range []string{"--version", "--help"} {
			p := execute(t, nil, program, flag)
			_ = p.cmd.Wait()
			assert.Zero(t, p.cmd.ProcessState.ExitCode(), "%s %s", program, flag)
			assert.NotEmpty(t, p.log.String())
		}
	}
	var out bytes.Buffer
	_ = run(t.Context(), []string{"--help"}, &out)
	assert.Contains(t, out.String(), "-instances")
}
