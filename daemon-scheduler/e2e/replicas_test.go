// Package e2e tests promises of daemon-scheduler that need whole processes: replicas that take over from each other,
// and the upgrade from v0.3.
package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/harness"
	"github.com/blox/blox/internal/testenv"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		testenv.RemovePrograms()
		os.Exit(code)
	}))
}

// replicas are daemon-schedulers, each a process with its own address.
type replicas struct {
	t         *testing.T
	client    *http.Client
	addresses []string
	running   map[string]*harness.Process // by address
	start     func(address string) *harness.Process
}

// startReplicas starts a cluster-state-service and three daemon-schedulers, and returns when they are ready.
func startReplicas(t *testing.T, sim *ecssim.Sim, flags []string) *replicas {
	t.Helper()
	aws := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); aws.Close() })
	etcd := testenv.EtcdServer(t)
	env := []string{
		"AWS_REGION=us-east-1", "AWS_ENDPOINT_URL=" + aws.URL, "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x",
		"CSS_LOG_LEVEL=error", "DS_LOG_LEVEL=error",
	}
	css := testenv.FreeAddress(t)
	testenv.Program(t, env, "cluster-state-service",
		"--bind", css, "--etcd-endpoint", etcd.Endpoints()[0], "--queue", "blox_queue")
	r := &replicas{t: t, client: &http.Client{}, running: map[string]*harness.Process{}}
	t.Cleanup(r.client.CloseIdleConnections)
	r.start = func(address string) *harness.Process {
		return testenv.Program(t, env, "daemon-scheduler", append([]string{
			"--bind", address, "--css-endpoint", css, "--etcd-endpoint", etcd.Endpoints()[0],
		}, flags...)...)
	}
	for range 3 {
		address := testenv.FreeAddress(t)
		r.addresses = append(r.addresses, address)
		r.running[address] = r.start(address)
	}
	for _, address := range r.addresses {
		testenv.Eventually(t, func() bool {
			response, err := r.client.Get("http://" + address + "/v1/ready")
			if err == nil {
				response.Body.Close()
			}
			return err == nil && response.StatusCode == http.StatusOK
		}, "%s is not ready", address)
	}
	return r
}

// leader returns the address of the leading replica, as any replica reports it; "" if none does.
func (r *replicas) leader() string {
	for _, address := range r.addresses {
		response, err := r.client.Get("http://" + address + "/v1/ready")
		if err != nil {
			continue
		}
		var ready struct{ Leader string }
		err = json.NewDecoder(response.Body).Decode(&ready)
		response.Body.Close()
		if err != nil {
			continue
		}
		for _, candidate := range r.addresses {
			if _, port, _ := strings.Cut(candidate, ":"); strings.Contains(ready.Leader, ":"+port+"-") {
				return candidate
			}
		}
	}
	return ""
}

// awaitLeaderOtherThan returns when another replica leads.
func (r *replicas) awaitLeaderOtherThan(former string) {
	r.t.Helper()
	testenv.Eventually(r.t, func() bool {
		now := r.leader()
		return now != "" && now != former
	}, "no other replica leads")
}

// mustCall sends a request that has to return 200, and decodes the response into result unless that is nil.
func (r *replicas) mustCall(method, address, path, body string, result any) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+address+path, strings.NewReader(body))
	require.NoError(r.t, err)
	response, err := r.client.Do(request)
	require.NoError(r.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(r.t, err)
	require.Equal(r.t, http.StatusOK, response.StatusCode, "%s", text)
	if result != nil {
		require.NoError(r.t, json.Unmarshal(text, result))
	}
}

// anyRunning returns the address of a replica that was not killed.
func (r *replicas) anyRunning() string {
	for address := range r.running {
		return address
	}
	return ""
}

func TestReplicas_AnotherTakesOverWhenTheLeaderStops(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 1)
	css, _ := w.startCSS("127.0.0.1:0")
	first := w.startScheduler(css)
	testenv.Eventually(t, func() bool { return first.leader() != "" })
	second := w.startScheduler(css)
	testenv.Eventually(t, func() bool { return second.leader() == first.leader() })
	id := second.deploy(second.createEnvironment("logs"))
	w.awaitOneTaskEach(id, instances...)

	leader := first.leader()
	first.stop()
	instances = append(instances, w.sim.AddInstances("prod", 1)...)
	w.awaitOneTaskEach(id, instances...)
	testenv.Eventually(t, func() bool { return second.leader() != "" && second.leader() != leader })
	w.assertNoDuplicates()
}

func (d *scheduler) leader() string {
	_, body := d.sendValid("GET", "/v1/ready", "")
	var ready struct{ Leader string }
	require.NoError(d.t, json.Unmarshal([]byte(body), &ready))
	return ready.Leader
}
