package e2e

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

func TestReconcile_ReadsExistingRecords(t *testing.T) {
	w := newSystem(t, ecssim.Config{Faults: ecssim.Faults{Events: ecssim.EventFaults{Drop: 1}}})
	definition := w.sim.RegisterTaskDefinition("agent", ecssim.WithHostPort(8125, "udp"))
	instances := w.sim.AddInstances("default", 120) // more than a page
	tasks := w.startTasks(definition, instances[:10]...)
	require.NoError(t, w.sim.KillTask(tasks[3], 7))
	w.sim.AddInstances("other", 1)
	w.sim.StartFargateTask("other", "web")
	c := w.start().ready()
	assert.Equal(t, w.ecsState(), c.served(), "ready means reconciled")

	// A record read from ECS has the form of one from an event.
	_, read := c.get("/v1/tasks/default/" + tasks[3])
	assert.Contains(t, read, `"exitCode":7`)
	assert.Regexp(t, `"createdAt":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"`, read)
	_, read = c.get("/v1/instances/default/" + instances[0])
	assert.Contains(t, read, `"clusterARN":"arn:aws:ecs:us-east-1:123456789012:cluster/default"`)
	assert.Contains(t, read, `{"name":"CPU","type":"INTEGER","value":"2048"}`)
}

// Reconcile removes records that ECS no longer knows, but only of its own region and account, and none that changed
// recently.
func TestReconcile_RemovesOnlyDeletedRecords(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	const ours = "arn:aws:ecs:us-east-1:123456789012:"
	record := func(cluster, id, updated string) string {
		key := "ecs/task/" + cluster + "/" + ours + "task/" + cluster + "/" + id
		w.putRecord(key, `{"detail":{"taskArn":"`+ours+`task/`+cluster+`/`+id+`","clusterArn":"`+ours+`cluster/`+cluster+
			`","lastStatus":"RUNNING","version":3,"updatedAt":"`+updated+`"}}`)
		return key
	}
	const long = "2020-01-01T00:00:00Z"
	removed := []string{record("default", "old", long), record("nocluster", "old", long), record("default", "v03", "")}
	kept := []string{record("default", "young", "2999-01-01T00:00:00Z")}
	elsewhere := "ecs/task/prod/" + runningTask
	w.putRecord(elsewhere, string(testenv.Event(t, "task-ec2-running.json")))
	kept = append(kept, elsewhere)
	otherAccount := "ecs/task/default/arn:aws:ecs:us-east-1:000000000000:task/default/x"
	w.putRecord(otherAccount, `{"detail":{"taskArn":"arn:aws:ecs:us-east-1:000000000000:task/default/x",`+
		`"clusterArn":"arn:aws:ecs:us-east-1:000000000000:cluster/default","lastStatus":"RUNNING","version":3}}`)
	kept = append(kept, otherAccount)

	w.start().ready()
	answer, err := w.client.Get(t.Context(), "ecs/task/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	require.NoError(t, err)
	var left []string
	for _, kv := range answer.Kvs {
		left = append(left, string(kv.Key))
	}
	assert.ElementsMatch(t, kept, left)
	assert.NotContains(t, left, removed[0])
}

// A change of attributes raises no version and causes no event.
func TestReconcile_FindsChangedAttributes(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	instances := w.sim.AddInstances("default", 2)
	first := w.start().ready()
	first.awaitConvergence()
	_, untouched := first.get("/v1/instances/default/" + instances[1])
	_, err := w.ecs().PutAttributes(t.Context(), &ecs.PutAttributesInput{Attributes: []types.Attribute{{
		Name: aws.String("stack"), Value: aws.String("blue"), TargetId: &instances[0],
	}}})
	require.NoError(t, err)
	first.stop()
	second := w.start().ready()
	testenv.Eventually(t, func() bool {
		_, body := second.get("/v1/instances/default/" + instances[0])
		return strings.Contains(body, `{"name":"stack","value":"blue"}`)
	})
	_, after := second.get("/v1/instances/default/" + instances[1])
	assert.Equal(t, untouched, after, "an unchanged record is not written")
}

// Ingest stores a late event after reconcile read the store and before it writes what ECS responded.
func TestReconcile_ReplacesRecordOfLateEvent(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	instances := w.sim.AddInstances("default", 1) // its event has no attribute
	_, err := w.ecs().PutAttributes(t.Context(), &ecs.PutAttributesInput{Attributes: []types.Attribute{{
		Name: aws.String("stack"), Value: aws.String("blue"), TargetId: &instances[0],
	}}})
	require.NoError(t, err)
	described, stored := make(chan struct{}), make(chan struct{})
	describe := sync.OnceFunc(func() { close(described) })
	w.aws.Config.Handler = http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		await := func(done <-chan struct{}) {
			select {
			case <-done:
			case <-r.Context().Done():
			}
		}
		switch _, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "."); action {
		case "DescribeContainerInstances":
			describe()
			await(stored)
		case "ReceiveMessage":
			await(described)
		}
		w.sim.ServeHTTP(to, r)
	})
	c := w.start()
	testenv.Eventually(t, func() bool {
		answer, err := w.client.Get(t.Context(), "ecs/instance/", clientv3.WithPrefix())
		require.NoError(t, err)
		return len(answer.Kvs) == 1
	}, "ingest stores no event")
	close(stored)
	_, body := c.ready().get("/v1/instances/default/" + instances[0])
	assert.Contains(t, body, `{"name":"stack","value":"blue"}`)
}

func TestReady_WaitsForFirstReconciliation(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	w.sim.SetDown("ecs", true)
	w.sim.AddInstances("default", 1)
	c := w.start()
	for _, path := range []string{"/v1/tasks", "/v1/instances", "/v1/tasks/prod/" + runningTask, "/v1/instances/prod/" +
		instance} {
		testenv.Eventually(t, func() bool {
			answer, body := c.get(path)
			assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
			assert.Equal(t, "1", answer.Header.Get("Retry-After"))
			return body == "Not yet reconciled with ECS\n"
		})
	}
	answer, body := c.get("/v1/tasks?status=wrong")
	assert.Equal(t, http.StatusBadRequest, answer.StatusCode, "an invalid request is rejected at once")
	assert.Equal(t, "Invalid status\n", body)
	answer, body = c.get("/v1/ready")
	assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	assert.Contains(t, body, "not yet reconciled with ECS")
	answer, _ = c.get("/v1/ping")
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	answer, _ = c.do(http.MethodGet, "/docs")
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	_, _, end := c.stream("/v1/stream/tasks") // answers at once
	end()

	w.sim.SetDown("ecs", false)
	c.ready().awaitConvergence()

	// A restarted service then serves the stored state even while ECS is down.
	c.stop()
	w.sim.SetDown("ecs", true)
	again := w.start().ready()
	assert.Len(t, again.served(), 1)
}

// If no cluster can be reconciled, the service stays unready, however often it retries.
func TestReady_FailsIfEveryClusterFails(t *testing.T) {
	w := newSystem(t, ecssim.Config{Faults: ecssim.Faults{
		Events: ecssim.EventFaults{Drop: 1}, ServerErrors: map[string]float64{"ListTasks": 1},
	}})
	w.sim.AddInstances("default", 3)
	c := w.start()
	testenv.Eventually(t, func() bool { return w.sim.Calls("ListTasks") >= 9 }, "three runs of three attempts")
	answer, body := c.get("/v1/instances")
	assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode, body)
	w.sim.SetFaults(ecssim.Faults{})
	assert.Len(t, c.ready().served(), 3)
}
