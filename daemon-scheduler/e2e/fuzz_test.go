package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/testenv"
)

// fixtures are the records that every request finds, and a daemon-scheduler. No cluster-state-service runs, so the
// scheduler starts no tasks.
type fixtures struct {
	*scheduler
	requests *testenv.RawClient
	records  map[string]string
	clean    string // the result of state for the unchanged records
}

func newFixtures(f *testing.F) *fixtures {
	w := newSystem(f)
	d := w.startScheduler(unusedAddress, "--lookup-rate", "1000000")
	fresh := strings.NewReplacer(`"`+usedToken+`"`, `"`+unusedToken+`"`, `"old"`,
		`"fresh"`).Replace(completedRecord("old", "prod", w.agent))
	fx := &fixtures{scheduler: d, requests: &testenv.RawClient{Address: strings.TrimPrefix(d.url, "http://")},
		records: map[string]string{
			"ecs/environment/old":  completedRecord("old", "elsewhere", w.agent),
			"ecs/environment/busy": inProgressRecord(w.agent), "ecs/environment/fresh": fresh,
		}}
	f.Cleanup(fx.requests.Close)
	return fx
}

// state returns the keys and revisions of everything that a request may change.
func (fx *fixtures) state(t *testing.T) string {
	t.Helper()
	got, err := fx.client.Get(t.Context(), "ecs/", clientv3.WithRange("ecs/leader"))
	require.NoError(t, err)
	var state strings.Builder
	for _, kv := range got.Kvs {
		if string(kv.Key) != "ecs/data-id" { // which the service writes after its start
			fmt.Fprintf(&state, "%s@%d ", kv.Key, kv.ModRevision)
		}
	}
	return state.String()
}

// reset restores the records if a request has changed them.
func (fx *fixtures) reset(t *testing.T) {
	t.Helper()
	if fx.clean != "" && fx.state(t) == fx.clean {
		return
	}
	_, err := fx.client.Delete(t.Context(), "ecs/environment/", clientv3.WithPrefix())
	require.NoError(t, err)
	for key, value := range fx.records {
		_, err := fx.client.Put(t.Context(), key, value)
		require.NoError(t, err)
	}
	fx.clean = fx.state(t)
}

// FuzzRequests sends arbitrary requests to a running service. It answers as the specification says or with an error in
// plain text. Rejected requests and reads change nothing in etcd.
func FuzzRequests(f *testing.F) {
	const body = `{"name":"x","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent"}`
	for _, target := range []string{
		"/v1/environments", "/v1/environments?cluster=prod&nextToken=", "/v1/environments/old",
		"/v1/environments/busy/deployments", "/v1/environments/busy/deployments/" + newDeployment,
		"/v1/environments/old/revisions", "/v1/environments/old/instances",
		"/v1/stream/environments?deleted=true&heartbeat=1&cluster=prod", "/v1/stream/environments?heartbeat=0",
		"/v1/ping", "/v1/ready", "/v1/swagger.json", "/metrics", "*", "//v1//environments/?x", "/v1/environments/a%2Fb",
		"/v1/environments/%zz", "/v1/environments?cluster=a&cluster=b",
	} {
		f.Add("GET", target, "")
	}
	f.Add("POST", "/v1/environments", body)
	f.Add("POST", "/v1/environments", `{"name":"old","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent"}`)
	f.Add("POST", "/v1/environments", `{"name":"y","instanceGroup":{"cluster":"prod","query":"attribute:a =~ b.*"},`+
		`"taskDefinition":"agent:1","deploymentConfiguration":{"canary":{"percent":5}},`+
		`"taskSettings":{"tags":[{"key":"a"}]}}`)
	f.Add("POST", "/v1/environments/fresh/deployments?deploymentToken="+unusedToken, "")
	f.Add("POST", "/v1/environments/fresh/deployments?deploymentToken="+unusedToken+"&dryRun=true", "")
	f.Add("POST", "/v1/environments/old/deployments?deploymentToken="+usedToken, "{}")
	f.Add("PATCH", "/v1/environments/fresh?deploymentToken="+unusedToken,
		`{"drainOrder":7,"taskSettings":{"group":"a"},"instanceGroup":{"attributes":[{"name":"a"}]}}`)
	f.Add("PATCH", "/v1/environments/busy?deploymentToken="+unusedToken, `{"taskDefinition":"none"}`)
	f.Add("DELETE", "/v1/environments/fresh", "")
	f.Add("DELETE", "/v1/environments/busy?stopTasks=true", "")
	for _, action := range []string{"rollback", "pause", "resume", "deployments/" + newDeployment + "/stop?type=ABORT",
		"deployments/" + newDeployment + "/stop", "deployments/" + newDeployment + "/promote"} {
		f.Add("POST", "/v1/environments/busy/"+action, "")
	}
	f.Add("HEAD", "/v1/stream/environments", "")
	f.Add("CONNECT", "/v1/environments", "")
	f.Add("BREW", "/v1/environments", "x")
	spec, err := apiSpec()
	require.NoError(f, err)
	fx := newFixtures(f)
	f.Fuzz(func(t *testing.T, method, target, body string) {
		fx.reset(t)
		answer, read, sent := fx.requests.Send(t, method, target, body)
		if !sent {
			return
		}
		status, changed := answer.StatusCode, fx.state(t) != fx.clean
		switch {
		case status == 503 && (strings.Contains(string(read), "The cluster state is stale") ||
			strings.Contains(string(read), "no data from cluster-state-service yet")):
		case status == 503 && method == http.MethodHead:
		case status >= 500:
			t.Errorf("%q %q %q: %d %s", method, target, body, status, read)
		case status >= 400:
			testenv.RequireTextError(t, answer, read)
		case status >= 300:
			location := answer.Header.Get("Location")
			assert.True(t, strings.HasPrefix(location, "."), "%q leads to %q, which is not relative", target, location)
		case method != http.MethodHead && spec.HasOperation(answer.Request):
			spec.CheckResponse(t, answer, read)
		}
		if changed &&
			(status != 200 || method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions) {
			t.Errorf("%q %q %q: %d, and etcd has changed", method, target, body, status)
		}
	})
}

// FuzzStoredRecords stores arbitrary values under an environment's key. The list still holds all other environments,
// and a request can delete this one.
func FuzzStoredRecords(f *testing.F) {
	fx := newFixtures(f)
	for _, record := range fx.records {
		f.Add([]byte(record))
	}
	f.Add([]byte(`null`))
	f.Add([]byte(`{"Deployments":{"x":null},"Revisions":[{}],"Token":"x","DeletingSince":"2026-01-02T03:04:05Z"}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		fx.reset(t)
		_, err := fx.client.Put(t.Context(), "ecs/environment/fuzzed", string(value))
		require.NoError(t, err)
		answer, read, _ := fx.requests.Send(t, "GET", "/v1/environments", "")
		require.Equal(t, 200, answer.StatusCode, "%s", read)
		for _, name := range []string{"old", "busy", "fresh"} {
			assert.Contains(t, string(read), `"name":"`+name+`"`)
		}
		readable := strings.Contains(string(read), `"name":"fuzzed"`)
		for _, path := range []string{"", "/deployments", "/revisions"} {
			answer, read, _ := fx.requests.Send(t, "GET", "/v1/environments/fuzzed"+path, "")
			assert.Equal(t, map[bool]int{true: 200, false: 500}[readable], answer.StatusCode, "%s: %s", path, read)
		}
		for _, path := range []string{"pause", "resume", "rollback"} {
			answer, read, _ := fx.requests.Send(t, "POST", "/v1/environments/fuzzed/"+path, "")
			assert.True(t, !readable || answer.StatusCode < 500, "%s: %s", path, read)
		}
		answer, read, _ = fx.requests.Send(t, "DELETE", "/v1/environments/fuzzed", "")
		assert.Equal(t, 200, answer.StatusCode, "%s", read)
	})
}
