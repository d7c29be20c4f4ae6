package clusterstate_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/etcd/embedded"
	"github.com/blox/blox/internal/testenv"
)

func (w *world) ecs() *ecs.Client {
	return ecs.New(ecs.Options{Region: "us-east-1", BaseEndpoint: &w.aws.URL, Credentials: aws.AnonymousCredentials{}, HTTPClient: awsconfig.InMemory(w.aws.Client())})
}

func (w *world) sqs() (*sqs.Client, *string) {
	w.t.Helper()
	client := sqs.New(sqs.Options{Region: "us-east-1", BaseEndpoint: &w.aws.URL, Credentials: aws.AnonymousCredentials{}, HTTPClient: awsconfig.InMemory(w.aws.Client())})
	found, err := client.GetQueueUrl(w.t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("blox_queue")})
	require.NoError(w.t, err)
	return client, found.QueueUrl
}

func (w *world) send(body string) {
	w.t.Helper()
	client, queue := w.sqs()
	_, err := client.SendMessage(w.t.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: &body})
	require.NoError(w.t, err)
}

// queued is how many messages are in the queue, received or not.
func (w *world) queued() int {
	w.t.Helper()
	client, queue := w.sqs()
	out, err := client.GetQueueAttributes(w.t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: queue, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
	require.NoError(w.t, err)
	sum := 0
	for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"} {
		n, err := strconv.Atoi(out.Attributes[name])
		require.NoError(w.t, err)
		sum += n
	}
	return sum
}

// startTasks starts a task on each instance, as a scheduler would.
func (w *world) startTasks(definition string, instances ...string) []string {
	w.t.Helper()
	out, err := w.ecs().StartTask(w.t.Context(), &ecs.StartTaskInput{TaskDefinition: &definition, ContainerInstances: instances, StartedBy: aws.String("test")})
	require.NoError(w.t, err)
	require.Empty(w.t, out.Failures)
	var started []string
	for _, task := range out.Tasks {
		started = append(started, *task.TaskArn)
	}
	return started
}

// truth is what the simulator knows: ARN to last status.
func (w *world) truth() map[string]string {
	truth := map[string]string{}
	for _, task := range w.sim.Tasks("") {
		truth[task.ARN] = task.LastStatus
	}
	for _, instance := range w.sim.Instances("") {
		truth[instance.ARN] = instance.Status
	}
	return truth
}

// served is the same, as the API tells it.
func (c *css) served() map[string]string {
	c.t.Helper()
	served := map[string]string{}
	for _, path := range []string{"/v1/tasks", "/v1/instances"} {
		answer, body := c.get(path)
		require.Equal(c.t, http.StatusOK, answer.StatusCode, body)
		var list struct {
			Items []struct {
				Entity struct{ TaskARN, ContainerInstanceARN, LastStatus, Status string }
			}
		}
		require.NoError(c.t, json.Unmarshal([]byte(body), &list))
		for _, i := range list.Items {
			if i.Entity.TaskARN != "" {
				served[i.Entity.TaskARN] = i.Entity.LastStatus
			} else {
				served[i.Entity.ContainerInstanceARN] = i.Entity.Status
			}
		}
	}
	return served
}

func (c *css) converges() {
	c.t.Helper()
	testenv.Eventually(c.t, func() bool { return assert.ObjectsAreEqual(c.truth(), c.served()) }, "the state does not become ECS's")
}

func TestStateFollowsEvents(t *testing.T) {
	for name, cfg := range map[string]ecssim.Config{
		"long ARNs":  {},
		"short ARNs": {ShortARNs: true},
		"duplicated, reordered and delayed": {Seed: 1, Faults: ecssim.Faults{Events: ecssim.EventFaults{
			Duplicate: 0.3, Reorder: 0.3, Delay: 0.1, DelayBy: ecssim.Duration(20e6),
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, cfg)
			c := w.start().ready()
			definition := w.sim.RegisterTaskDefinition("agent")
			instances := w.sim.AddInstances("default", 3)
			other := w.sim.AddInstances("other", 2)
			tasks := w.startTasks(definition, instances...)
			w.sim.StartFargateTask("other", "web")
			require.NoError(t, w.sim.KillTask(tasks[0], 0))
			require.NoError(t, w.sim.DrainInstance(instances[1]))
			require.NoError(t, w.sim.RemoveInstance(other[0]))
			c.converges()
			assert.Len(t, c.served(), 3+2+3+1)

			_, body := c.get("/v1/tasks/default/" + tasks[0])
			assert.Contains(t, body, `"exitCode":0`)
			assert.Contains(t, body, `"stoppedReason":"Essential container in task exited"`)
		})
	}
}

func TestOddMessagesHarmNobody(t *testing.T) {
	w := newWorld(t, ecssim.Config{})
	c := w.start().ready()
	w.send(string(testenv.Event(t, "broken.txt")))
	w.send(string(testenv.Event(t, "service-action.json")))
	w.send("{}")
	for name := range testenv.Events(t) {
		if name != "broken.txt" && name != "service-action.json" {
			w.send(string(testenv.Event(t, name)))
		}
	}
	testenv.Eventually(t, func() bool { return len(c.served()) == 5 })
	assert.Equal(t, "STOPPED", c.served()[runningTask], "the newer version, in whatever order")
	assert.Equal(t, "DRAINING", c.served()[instance])
	// What was recorded or is of no interest is deleted; what cannot be read stays for the redrive policy.
	testenv.Eventually(t, func() bool { return w.queued() == 2 })
}

// An event that changes nothing leaves the entity version alone.
func TestRepeatedEventChangesNothing(t *testing.T) {
	w := newWorld(t, ecssim.Config{})
	c := w.start().ready()
	w.send(string(testenv.Event(t, "task-ec2-stopped.json")))
	testenv.Eventually(t, func() bool { return c.served()[runningTask] == "STOPPED" })
	_, before := c.get("/v1/tasks/prod/" + runningTask)
	w.send(string(testenv.Event(t, "task-ec2-running.json")))
	w.send(string(testenv.Event(t, "task-ec2-stopped.json", `"stoppedReason": "`, `"stoppedReason": "another `)))
	w.send(string(testenv.Event(t, "instance-active.json")))
	testenv.Eventually(t, func() bool { return c.served()[instance] == "ACTIVE" })
	testenv.Eventually(t, func() bool { return w.queued() == 0 })
	_, after := c.get("/v1/tasks/prod/" + runningTask)
	assert.Equal(t, before, after)
}

func TestReconcileReadsWhatWasThereBefore(t *testing.T) {
	w := newWorld(t, ecssim.Config{Faults: ecssim.Faults{Events: ecssim.EventFaults{Drop: 1}}})
	definition := w.sim.RegisterTaskDefinition("agent", ecssim.WithHostPort(8125, "udp"))
	instances := w.sim.AddInstances("default", 120) // more than a page
	tasks := w.startTasks(definition, instances[:10]...)
	require.NoError(t, w.sim.KillTask(tasks[3], 7))
	w.sim.AddInstances("other", 1)
	w.sim.StartFargateTask("other", "web")
	c := w.start().ready()
	assert.Equal(t, w.truth(), c.served(), "ready means compared")

	// What is read from ECS looks as an event would.
	_, read := c.get("/v1/tasks/default/" + tasks[3])
	assert.Contains(t, read, `"exitCode":7`)
	assert.Regexp(t, `"createdAt":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"`, read)
	_, read = c.get("/v1/instances/default/" + instances[0])
	assert.Contains(t, read, `"clusterARN":"arn:aws:ecs:us-east-1:123456789012:cluster/default"`)
	assert.Contains(t, read, `{"name":"CPU","type":"INTEGER","value":"2048"}`)
}

// Gone from ECS: what its own region and account know nothing of any more, unless it changed just now.
func TestReconcileRemovesWhatIsGoneAndNothingElse(t *testing.T) {
	w := newWorld(t, ecssim.Config{})
	const ours = "arn:aws:ecs:us-east-1:123456789012:"
	record := func(cluster, id, updated string) string {
		key := "ecs/task/" + cluster + "/" + ours + "task/" + cluster + "/" + id
		w.put(key, `{"detail":{"taskArn":"`+ours+`task/`+cluster+`/`+id+`","clusterArn":"`+ours+`cluster/`+cluster+
			`","lastStatus":"RUNNING","version":3,"updatedAt":"`+updated+`"}}`)
		return key
	}
	const long = "2020-01-01T00:00:00Z"
	removed := []string{record("default", "old", long), record("nocluster", "old", long), record("default", "v03", "")}
	kept := []string{record("default", "young", "2999-01-01T00:00:00Z")}
	elsewhere := "ecs/task/prod/" + runningTask
	w.put(elsewhere, string(testenv.Event(t, "task-ec2-running.json")))
	kept = append(kept, elsewhere)
	otherAccount := "ecs/task/default/arn:aws:ecs:us-east-1:000000000000:task/default/x"
	w.put(otherAccount, `{"detail":{"taskArn":"arn:aws:ecs:us-east-1:000000000000:task/default/x","clusterArn":"arn:aws:ecs:us-east-1:000000000000:cluster/default","lastStatus":"RUNNING","version":3}}`)
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

// A change of attributes raises no version and sends no event.
func TestReconcileFindsChangedAttributes(t *testing.T) {
	w := newWorld(t, ecssim.Config{})
	instances := w.sim.AddInstances("default", 2)
	first := w.start().ready()
	first.converges()
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
	assert.Equal(t, untouched, after, "what has not changed is not written")
}

func TestNotReadyBeforeTheFirstComparison(t *testing.T) {
	w := newWorld(t, ecssim.Config{})
	w.sim.SetDown("ecs", true)
	w.sim.AddInstances("default", 1)
	c := w.start()
	for _, path := range []string{"/v1/tasks", "/v1/instances", "/v1/tasks/prod/" + runningTask, "/v1/instances/prod/" + instance} {
		testenv.Eventually(t, func() bool {
			answer, body := c.get(path)
			assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
			assert.Equal(t, "1", answer.Header.Get("Retry-After"))
			return body == "Not yet reconciled with ECS\n"
		})
	}
	answer, body := c.get("/v1/tasks?status=wrong")
	assert.Equal(t, http.StatusBadRequest, answer.StatusCode, "a bad request is told at once")
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
	c.ready().converges()

	// From then on a restart serves what is stored, also while ECS is away.
	c.stop()
	w.sim.SetDown("ecs", true)
	again := w.start().ready()
	assert.Len(t, again.served(), 1)
}

// Each dependency goes away and comes back, and nothing is lost.
func TestDependenciesVanishAndReturn(t *testing.T) {
	w := newWorld(t, ecssim.Config{})
	c := w.start().ready()
	definition := w.sim.RegisterTaskDefinition("agent")
	w.sim.AddInstances("default", 1)
	c.converges()

	w.sim.SetDown("sqs", true)
	instances := w.sim.AddInstances("default", 5)
	w.startTasks(definition, instances...)
	w.sim.SetDown("sqs", false)
	c.converges()

	w.etcd.Stop()
	w.sim.AddInstances("default", 5)
	answer, body := c.get("/v1/tasks")
	assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	assert.Equal(t, "etcd does not answer\n", body)
	answer, _ = c.get("/v1/ping")
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	answer, body = c.get("/v1/ready")
	assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	assert.Contains(t, body, "etcd does not answer")
	w.etcd.Start()
	c.ready().converges()
}

func TestReplicasAgree(t *testing.T) {
	w := newWorld(t, ecssim.Config{})
	one, two := w.start().ready(), w.start().ready()
	definition := w.sim.RegisterTaskDefinition("agent")
	instances := w.sim.AddInstances("default", 10)
	w.startTasks(definition, instances...)
	one.converges()
	_, first := one.get("/v1/tasks")
	_, second := two.get("/v1/tasks")
	assert.Equal(t, first, second)

	_, body := one.get("/v1/ready")
	_, other := two.get("/v1/ready")
	assert.Equal(t, body, other, "both name the one that compares")
}

func TestStopEndsStreamsCleanly(t *testing.T) {
	w := newWorld(t, ecssim.Config{})
	c := w.start().ready()
	answer, err := http.Get(c.url + "/v1/stream/tasks")
	require.NoError(t, err)
	defer answer.Body.Close()
	c.stop()
	rest, err := io.ReadAll(answer.Body)
	assert.NoError(t, err, "a clean end")
	assert.Empty(t, rest)
	http.DefaultClient.CloseIdleConnections()
}

// The end of the service leaves in the queue what is not committed.
func TestNothingIsDeletedThatIsNotCommitted(t *testing.T) {
	w := newWorld(t, ecssim.Config{})
	c := w.start().ready()
	w.etcd.Stop()
	received := w.sim.Calls("ReceiveMessage")
	for range 5 {
		w.send(string(testenv.Event(t, "task-ec2-running.json")))
	}
	testenv.Eventually(t, func() bool { return w.sim.Calls("ReceiveMessage") > received }, "nothing was received")
	c.stop()
	assert.Equal(t, 5, w.queued())
}

// An etcd without space takes no records: the events wait in the queue, reads go on, and ready says so.
func TestAFullEtcdIsTold(t *testing.T) {
	w := newWorld(t, ecssim.Config{}, embedded.Options{Quota: 4 << 20})
	c := w.start().ready()
	w.fill()
	w.send(string(testenv.Event(t, "task-ec2-running.json")))
	testenv.Eventually(t, func() bool {
		answer, body := c.get("/v1/ready")
		return answer.StatusCode == http.StatusServiceUnavailable && strings.Contains(body, "etcd is out of space")
	})
	answer, _ := c.get("/v1/tasks")
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	assert.Equal(t, 1, w.queued())
	w.makeRoom()
	c.ready()
	testenv.Eventually(t, func() bool { return c.served()[runningTask] == "RUNNING" })
}

// fill uses up the quota of etcd.
func (w *world) fill() {
	w.t.Helper()
	var err error
	for n := 0; err == nil; n++ {
		_, err = w.client.Put(w.t.Context(), "filler/"+strconv.Itoa(n), strings.Repeat("x", 1<<20))
	}
	require.ErrorContains(w.t, err, "space")
}

// makeRoom is the documented way out: delete, compact, defragment, disarm.
func (w *world) makeRoom() {
	w.t.Helper()
	_, err := w.client.Delete(w.t.Context(), "filler/", clientv3.WithPrefix())
	require.NoError(w.t, err)
	now, err := w.client.Get(w.t.Context(), "x")
	require.NoError(w.t, err)
	_, err = w.client.Compact(w.t.Context(), now.Header.Revision, clientv3.WithCompactPhysical())
	require.NoError(w.t, err)
	_, err = w.client.Defragment(w.t.Context(), w.etcd.Endpoints()[0])
	require.NoError(w.t, err)
	_, err = w.client.AlarmDisarm(w.t.Context(), &clientv3.AlarmMember{})
	require.NoError(w.t, err)
}

// When not one cluster can be compared, nothing is known, however often it was tried.
func TestNotReadyWhenNoClusterCouldBeCompared(t *testing.T) {
	w := newWorld(t, ecssim.Config{Faults: ecssim.Faults{
		Events: ecssim.EventFaults{Drop: 1}, ServerErrors: map[string]float64{"ListTasks": 1},
	}})
	w.sim.AddInstances("default", 3)
	c := w.start()
	testenv.Eventually(t, func() bool { return w.sim.Calls("ListTasks") >= 9 }, "tried three times, thrice each")
	answer, body := c.get("/v1/instances")
	assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode, body)
	w.sim.SetFaults(ecssim.Faults{})
	assert.Len(t, c.ready().served(), 3)
}

// Requests under way when the service stops are answered as ever.
func TestStopUnderLoad(t *testing.T) {
	w := newWorld(t, ecssim.Config{})
	c := w.start().ready()
	var clients sync.WaitGroup
	var answered atomic.Int64
	for range 8 {
		clients.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			for {
				request, err := http.NewRequest(http.MethodGet, c.url+"/v1/tasks", nil)
				assert.NoError(t, err)
				answer, err := transport.RoundTrip(request)
				if err != nil { // nobody listens any more
					return
				}
				body, _ := io.ReadAll(answer.Body)
				answer.Body.Close()
				assert.Equal(t, http.StatusOK, answer.StatusCode, "%s", body)
				answered.Add(1)
			}
		})
	}
	testenv.Eventually(t, func() bool { return answered.Load() > 100 })
	c.stop()
	clients.Wait()
}
