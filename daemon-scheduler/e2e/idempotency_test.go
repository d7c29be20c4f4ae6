package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// sendKeyed sends a request with an Idempotency-Key, and reports whether the response is that to an earlier one.
func (d *scheduler) sendKeyed(key, method, path, body string) (answer *http.Response, text string, replayed bool) {
	d.t.Helper()
	answer, text = d.sendWith(http.Header{"Idempotency-Key": {key}}, method, path, body)
	return answer, text, answer.Header.Get("Idempotent-Replayed") == "true"
}

// mustReplay sends a request with a key twice. The second response has to be the first one.
func (d *scheduler) mustReplay(key, method, path, body string) (text string) {
	d.t.Helper()
	first, text, replayed := d.sendKeyed(key, method, path, body)
	require.Equal(d.t, http.StatusOK, first.StatusCode, text)
	assert.False(d.t, replayed, "%s %s", method, path)
	second, again, replayed := d.sendKeyed(key, method, path, body)
	assert.True(d.t, replayed, "%s %s", method, path)
	assert.Equal(d.t, http.StatusOK, second.StatusCode)
	assert.Equal(d.t, text, again)
	assert.Equal(d.t, first.Header.Get("Content-Type"), second.Header.Get("Content-Type"))
	return text
}

func (d *scheduler) countEvents(action environment.EventAction) (n int) {
	var list models.Events
	d.mustSend("GET", "/v1/events?limit=1000", "", &list)
	for _, event := range list.Items {
		if *event.Action == string(action) {
			n++
		}
	}
	return n
}

const createLogs = `{"name":"logs","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent"}`

func TestIdempotencyKey_EachChangeIsExecutedOnce(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	d := w.startScheduler(unusedAddress)
	const path = "/v1/environments/logs"
	d.mustReplay("create", "POST", "/v1/environments", createLogs)
	var e models.Environment
	token := func() string { return "deploymentToken=" + d.getEnvironment("logs").DeploymentToken }
	patched := d.mustReplay("patch", "PATCH", path+"?"+token(), `{"drainOrder":1}`)
	require.NoError(t, json.Unmarshal([]byte(patched), &e))
	assert.EqualValues(t, 2, e.Revision)
	d.mustReplay("same", "PATCH", path+"?"+token(), `{"drainOrder":1}`)

	var deployment models.Deployment
	text := d.mustReplay("deploy", "POST", path+"/deployments?"+token(), "")
	require.NoError(t, json.Unmarshal([]byte(text), &deployment))
	assert.Len(t, d.listDeployments("logs"), 1)

	d.mustReplay("pause", "POST", path+"/pause", "")
	d.mustReplay("pause again", "POST", path+"/pause", "")
	d.mustReplay("resume", "POST", path+"/resume", "")
	for _, key := range []string{"pause", "pause again"} { // the latter changed nothing, and would change something now
		_, _, replayed := d.sendKeyed(key, "POST", path+"/pause", "")
		assert.True(t, replayed)
		assert.False(t, d.getEnvironment("logs").Paused, "a repeated request undoes nothing")
	}
	d.mustReplay("stop", "POST", path+"/deployments/"+*deployment.ID+"/stop?type=ABORT", "")
	d.mustSend("DELETE", path, "", nil)
	for key, request := range map[string][3]string{
		"create": {"POST", "/v1/environments", createLogs}, "pause": {"POST", path + "/pause", ""},
	} {
		_, _, replayed := d.sendKeyed(key, request[0], request[1], request[2])
		assert.True(t, replayed, key)
	}
	answer, _ := d.send("GET", path, "")
	assert.Equal(t, http.StatusNotFound, answer.StatusCode, "the deleted environment was created again")
	testenv.Eventually(t, func() bool { return d.countEvents(environment.EventEnvironmentDeleted) == 1 })
	for _, action := range []environment.EventAction{
		environment.EventEnvironmentCreated, environment.EventEnvironmentUpdated, environment.EventDeploymentCreated,
		environment.EventEnvironmentPaused, environment.EventEnvironmentResumed, environment.EventDeploymentStopped,
	} {
		assert.Equal(t, 1, d.countEvents(action), action)
	}
}

func TestIdempotencyKey_PromotionsAndRollbacksAreExecutedOnce(t *testing.T) {
	t.Parallel()
	const n = 4
	f := newRollout(t, n, `{}`)
	id := f.deployPatch(`{"taskDefinition":"agent:2","deploymentConfiguration":{"minimumHealthyPercent":50,` +
		`"canary":{"steps":[{"count":1},{"count":2}]}}}`)
	waits := func(step string) func() bool {
		return func() bool { return strings.HasPrefix(f.promotionMessage(), "Step "+step) }
	}
	testenv.Eventually(t, waits("1"))
	const path = "/v1/environments/logs"
	f.mustReplay("promote", "POST", path+"/deployments/"+id+"/promote", "")
	testenv.Eventually(t, waits("2"))
	_, _, replayed := f.sendKeyed("promote", "POST", path+"/deployments/"+id+"/promote", "")
	assert.True(t, replayed)
	assert.True(t, waits("2")(), "a repeated request promotes no further step")
	f.mustReplay("roll back", "POST", path+"/rollback", "")
	_, _, replayed = f.sendKeyed("roll back", "POST", path+"/rollback", "")
	assert.True(t, replayed)
	assert.Len(t, f.listDeployments("logs"), 3)
}

func TestIdempotencyKey_ATakeoverIsCancelledOnce(t *testing.T) {
	t.Parallel()
	f := newTakeover(t)
	f.mustReplay("take over", "POST", "/v1/environments", takeoverBody)
	f.mustReplay("cancel", "POST", "/v1/environments/logs/takeover/cancel", "")
}

// The connection breaks after the change, before the response has arrived.
func TestIdempotencyKey_ALostResponseIsRepeated(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	d := w.startScheduler(unusedAddress)
	target, err := url.Parse(d.url)
	require.NoError(t, err)
	var lost atomic.Int32
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	proxy.ModifyResponse = func(answer *http.Response) error {
		if answer.Request.Method == "POST" && answer.Header.Get("Idempotent-Replayed") == "" {
			lost.Add(1)
			return assert.AnError
		}
		return nil
	}
	server := httptest.NewServer(proxy)
	defer server.Close()
	// On a connection that is in use, net/http would repeat a keyed request by itself.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	send := func(method, path, body string) (string, error) {
		request, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Idempotency-Key", method+path)
		answer, err := client.Do(request)
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		assert.Equal(t, http.StatusOK, answer.StatusCode)
		var shown struct{ DeploymentToken, ID string }
		require.NoError(t, json.NewDecoder(answer.Body).Decode(&shown))
		return shown.DeploymentToken + shown.ID, nil
	}
	retried := func(method, path, body string) string {
		_, err := send(method, path, body)
		require.Error(t, err)
		got, err := send(method, path, body)
		require.NoError(t, err)
		return got
	}
	token := retried("POST", "/v1/environments", createLogs)
	assert.Equal(t, d.getEnvironment("logs").DeploymentToken, token)
	id := retried("POST", "/v1/environments/logs/deployments?deploymentToken="+token, "")
	assert.Equal(t, id, *d.listDeployments("logs")[0].ID)
	assert.Len(t, d.listDeployments("logs"), 1)
	assert.EqualValues(t, 2, lost.Load())
}

func TestIdempotencyKey_EveryReplicaRepeatsTheResponse(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	first, second := w.startScheduler(unusedAddress), w.startScheduler(unusedAddress)
	text := first.mustReplay("key", "POST", "/v1/environments", createLogs)
	_, again, replayed := second.sendKeyed("key", "POST", "/v1/environments", createLogs)
	assert.True(t, replayed)
	assert.Equal(t, text, again)
	first.stop()
	second.stop()
	w.etcd.Stop()
	w.etcd.Start()
	_, again, replayed = w.startScheduler(unusedAddress).sendKeyed("key", "POST", "/v1/environments", createLogs)
	assert.True(t, replayed, "after a restart of everything")
	assert.Equal(t, text, again)
}

func TestIdempotencyKey_OneOfConcurrentRequestsIsExecuted(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	replicas := []*scheduler{w.startScheduler(unusedAddress), w.startScheduler(unusedAddress)}
	token := replicas[0].createEnvironment("logs").DeploymentToken
	for _, request := range [][3]string{
		{"POST", "/v1/environments/logs/deployments?deploymentToken=" + token, ""},
		{"POST", "/v1/environments", strings.ReplaceAll(createLogs, "logs", "metrics")},
	} {
		var group sync.WaitGroup
		var executed atomic.Int32
		var bodies sync.Map
		for i := range 20 {
			group.Go(func() {
				answer, text, replayed := replicas[i%2].sendKeyed(request[1], request[0], request[1], request[2])
				assert.Equal(t, http.StatusOK, answer.StatusCode, text)
				bodies.Store(text, nil)
				if !replayed {
					executed.Add(1)
				}
			})
		}
		group.Wait()
		assert.EqualValues(t, 1, executed.Load(), request[1])
		n := 0
		bodies.Range(func(any, any) bool { n++; return true })
		assert.Equal(t, 1, n, "one response for all")
	}
	assert.Len(t, replicas[0].listDeployments("logs"), 1)
}

func TestIdempotencyKey_BelongsToOneRequest(t *testing.T) {
	t.Parallel()
	d := newSystem(t).startScheduler(unusedAddress)
	d.mustReplay("key", "POST", "/v1/environments", createLogs)
	for name, request := range map[string][3]string{
		"another body":   {"POST", "/v1/environments", createLogs + " "},
		"another query":  {"POST", "/v1/environments?dryRun=true", createLogs},
		"another path":   {"POST", "/v1/environments/logs/pause", ""},
		"another method": {"PATCH", "/v1/environments", createLogs},
	} {
		answer, text, _ := d.sendKeyed("key", request[0], request[1], request[2])
		if request[0] == "PATCH" { // no operation
			assert.Equal(t, http.StatusMethodNotAllowed, answer.StatusCode, name)
			continue
		}
		assert.Equal(t, http.StatusUnprocessableEntity, answer.StatusCode, name)
		assert.Equal(t, "The Idempotency-Key belongs to a request with another path, query, body or client\n", text)
	}
	for name, keys := range map[string][]string{
		"empty": {""}, "too long": {strings.Repeat("k", 256)}, "not ASCII": {"clé"}, "two": {"a", "b"},
		"with a tab": {"a\tb"},
	} {
		answer, text := d.sendWith(http.Header{"Idempotency-Key": keys}, "POST", "/v1/environments/logs/pause", "")
		assert.Equal(t, http.StatusBadRequest, answer.StatusCode, name)
		assert.Contains(t, text, "The Idempotency-Key is invalid", name)
	}
	assert.False(t, d.getEnvironment("logs").Paused)
	d.mustReplay(strings.Repeat("~", 255), "POST", "/v1/environments/logs/pause", "")
}

func TestIdempotencyKey_BelongsToOneClient(t *testing.T) {
	t.Parallel()
	s := newAccessSystem(t)
	s.write("css.yml", tokens("ds=viewer"))
	s.write("css.token", "ds-token")
	s.write("ds.yml", tokens("alice=admin", "bob=admin", "carol=viewer"))
	s.startCSS()
	d := s.startScheduler()
	d.as("alice").mustReplay("key", "POST", "/v1/environments", createLogs)
	for client, status := range map[string]int{
		"alice": http.StatusOK, "bob": http.StatusUnprocessableEntity, "carol": http.StatusForbidden,
		"unknown": http.StatusUnauthorized,
	} {
		answer, _, replayed := d.as(client).sendKeyed("key", "POST", "/v1/environments", createLogs)
		assert.Equal(t, status, answer.StatusCode, client)
		assert.Equal(t, client == "alice", replayed)
	}
}

// A request that changed nothing may be repeated with its key, also in another form.
func TestIdempotencyKey_ErrorsAndDryRunsAreNotStored(t *testing.T) {
	t.Parallel()
	d := newSystem(t).startScheduler(unusedAddress)
	for range 2 {
		answer, _, replayed := d.sendKeyed("key", "POST", "/v1/environments", `{"name":"logs"}`)
		assert.Equal(t, http.StatusBadRequest, answer.StatusCode)
		assert.False(t, replayed)
		answer, text, replayed := d.sendKeyed("key", "POST", "/v1/environments?dryRun=true", createLogs)
		assert.Equal(t, http.StatusOK, answer.StatusCode, text)
		assert.False(t, replayed)
	}
	d.mustReplay("key", "POST", "/v1/environments", createLogs)
}

func TestIdempotencyKey_Expires(t *testing.T) {
	t.Parallel()
	d := newSystem(t).startScheduler(unusedAddress, "--idempotency-retention", "1s")
	d.createEnvironment("logs")
	_, _, replayed := d.sendKeyed("key", "POST", "/v1/environments/logs/pause", "")
	require.False(t, replayed)
	d.mustSend("POST", "/v1/environments/logs/resume", "", nil)
	testenv.Eventually(t, func() bool {
		_, _, replayed := d.sendKeyed("key", "POST", "/v1/environments/logs/pause", "")
		return !replayed
	})
	assert.True(t, d.getEnvironment("logs").Paused)
}

// Only so many responses are stored. Requests with known keys, and those without a key, are served beyond that.
func TestIdempotencyKey_ResponsesAreLimited(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	d := w.startScheduler(unusedAddress)
	d.mustReplay("key", "POST", "/v1/environments", createLogs)
	var group sync.WaitGroup
	for part := range 10 {
		group.Go(func() {
			for i := range 1000 {
				_, err := w.client.Put(t.Context(), fmt.Sprintf("ecs/response/%d-%d", part, i), "{}")
				assert.NoError(t, err)
			}
		})
	}
	group.Wait()
	answer, text, _ := d.sendKeyed("another", "POST", "/v1/environments/logs/pause", "")
	assert.Equal(t, http.StatusTooManyRequests, answer.StatusCode)
	assert.Equal(t, "60", answer.Header.Get("Retry-After"))
	assert.Equal(t, "Too many Idempotency-Keys are in use\n", text)
	_, _, replayed := d.sendKeyed("key", "POST", "/v1/environments", createLogs)
	assert.True(t, replayed)
	d.mustSend("POST", "/v1/environments/logs/pause", "", nil)
}
