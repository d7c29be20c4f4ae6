package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

const (
	forgottenTask     = "arn:aws:ecs:us-east-1:123456789012:task/default/1a2b3c4d5e6f47889900aabbccddeeff"
	forgottenInstance = "arn:aws:ecs:us-east-1:123456789012:container-instance/default/0f3c1b2a9d8e4f7685940a1b2c3d4e5f"
)

// replayed returns a sample event, as EventBridge replays it months later, of the simulator's account and region.
func replayed(t *testing.T, name string, replace ...string) string {
	body := testenv.Event(t, name, "eu-west-1", "us-east-1", "/prod", "/default")
	return strings.NewReplacer(replace...).Replace(string(body))
}

// putKinesisRecord returns the sequence number.
func (w *system) putKinesisRecord(body string) string {
	w.t.Helper()
	client := kinesis.New(kinesis.Options{Region: "us-east-1", BaseEndpoint: &w.aws.URL,
		Credentials: aws.AnonymousCredentials{}, HTTPClient: awsconfig.BufferBodies(w.aws.Client())})
	put, err := client.PutRecord(w.t.Context(), &kinesis.PutRecordInput{
		StreamName: aws.String("events"), PartitionKey: aws.String("k"), Data: []byte(body),
	})
	require.NoError(w.t, err)
	return *put.SequenceNumber
}

// hasCounted reports whether the service has counted at least n events of that kind and outcome.
func (c *css) hasCounted(kind, outcome string, n int) bool {
	c.t.Helper()
	_, text := c.do("GET", "/metrics")
	_, rest, found := strings.Cut(text, fmt.Sprintf("blox_css_ingest_events_total{kind=%q,outcome=%q} ", kind, outcome))
	value, _, _ := strings.Cut(rest, "\n")
	counted, err := strconv.Atoi(value)
	return found && err == nil && counted >= n
}

// awaitEmptyQueue waits until every message is deleted.
func (w *system) awaitEmptyQueue() {
	w.t.Helper()
	testenv.Eventually(w.t, func() bool { return w.messageCount() == 0 }, "messages stay in the queue")
}

func TestIngest_ReplayedEventsOfForgottenEntitiesCreateNoRecords(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	c := w.start().ready()
	w.sendMessage(replayed(t, "task-ec2-running.json", `"version": 3`, `"version": 2`, "RUNNING", "PENDING"))
	w.sendMessage(replayed(t, "task-ec2-running.json"))
	w.sendMessage(replayed(t, "instance-active.json"))
	w.awaitEmptyQueue()
	assert.Empty(t, c.served())
	assert.True(t, c.hasCounted("task", "outdated", 2))
	assert.True(t, c.hasCounted("instance", "outdated", 1))
	w.sendMessage(replayed(t, "task-ec2-stopped.json"))
	testenv.Eventually(t, func() bool { return c.served()[forgottenTask] == "STOPPED" }, "STOPPED is recorded")
	w.sendMessage(replayed(t, "task-ec2-running.json"))
	w.awaitEmptyQueue()
	assert.Equal(t, map[string]string{forgottenTask: "STOPPED"}, c.served())
}

// The events of a task that ECS started since the last reconciliation were lost. A replayed one makes Blox read ECS.
func TestIngest_ReplayedEventStoresWhatECSKnows(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	c := w.start().ready()
	w.sim.SetFaults(ecssim.Faults{Events: ecssim.EventFaults{Drop: 1}})
	instance := w.sim.AddInstances("default", 1)[0]
	task := w.startTasks(w.sim.RegisterTaskDefinition("agent"), instance)[0]
	assert.Empty(t, c.served(), "the events are lost")
	w.sendMessage(replayed(t, "task-ec2-running.json", forgottenTask, task, "RUNNING", "PENDING",
		`"version": 3`, `"version": 1`))
	w.sendMessage(replayed(t, "instance-active.json", forgottenInstance, instance, `"version": 14`, `"version": 1`))
	w.awaitEmptyQueue()
	assert.Equal(t, w.ecsState(), c.served())
	c.awaitConvergence()
}

func TestIngest_OldEventsWaitInTheQueueWhileECSIsDown(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	client, queue := w.sqs()
	_, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("dead_letters")})
	require.NoError(t, err)
	_, err = client.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{
		QueueUrl: queue, Attributes: map[string]string{
			string(sqstypes.QueueAttributeNameVisibilityTimeout): "20",
			string(sqstypes.QueueAttributeNameRedrivePolicy): `{"maxReceiveCount":"3",` +
				`"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead_letters"}`,
		},
	})
	require.NoError(t, err)
	c := w.start().ready()
	w.sim.SetDown("ecs", true)
	w.sendMessage(replayed(t, "task-ec2-running.json"))
	now := time.Now().UTC().Format(time.RFC3339)
	for n := range 20 { // recent events pass
		w.sendMessage(replayed(t, "task-ec2-running.json", "1a2b3c4d5e6f47889900aabbccddeeff", fmt.Sprintf("%032x", n),
			"2026-03-04T10:15:30Z", now))
	}
	testenv.Eventually(t, func() bool { return len(c.served()) == 20 && w.messageCount() == 1 }, "recent events wait")
	testenv.Eventually(t, func() bool { return c.hasCounted("task", "deferred", 5) }, "the event is not kept")
	assert.Equal(t, 1, w.messageCount(), "the event was delivered so often that it is a dead letter")
	w.sim.SetDown("ecs", false)
	w.awaitEmptyQueue()
	assert.NotContains(t, c.served(), forgottenTask)
}

// A Kinesis stream delivers every record once. While ECS does not answer, the checkpoint stays before the old event,
// and later events pass.
func TestIngest_OldEventsOfAStreamHoldItsCheckpoint(t *testing.T) {
	w := newSystem(t, ecssim.Config{StreamName: "events"})
	c := w.startWithStream().ready()
	w.sim.SetDown("ecs", true)
	before := w.putKinesisRecord(replayed(t, "task-ec2-stopped.json", "1a2b3c4d5e6f47889900aabbccddeeff",
		fmt.Sprintf("%032x", 1)))
	w.putKinesisRecord(replayed(t, "task-ec2-running.json"))
	now := time.Now().UTC().Format(time.RFC3339)
	last := w.putKinesisRecord(replayed(t, "task-ec2-running.json", "1a2b3c4d5e6f47889900aabbccddeeff",
		fmt.Sprintf("%032x", 2), "2026-03-04T10:15:30Z", now))
	testenv.Eventually(t, func() bool { return len(c.served()) == 2 }, "later events wait")
	testenv.Eventually(t, func() bool { return c.hasCounted("task", "deferred", 2) }, "the event is not kept")
	assert.Contains(t, w.checkpoint(), before)
	w.sim.SetDown("ecs", false)
	testenv.Eventually(t, func() bool { return strings.Contains(w.checkpoint(), last) }, "the checkpoint does not follow")
	assert.True(t, c.hasCounted("task", "outdated", 1))
	assert.NotContains(t, c.served(), forgottenTask)
}

// checkpoint returns the checkpoint of the stream's only shard.
func (w *system) checkpoint() string {
	w.t.Helper()
	got, err := w.client.Get(w.t.Context(), "ecs/kinesis/events/", clientv3.WithPrefix())
	require.NoError(w.t, err)
	if len(got.Kvs) == 0 {
		return ""
	}
	return string(got.Kvs[0].Value)
}

// A replica of another account reconciles that account's clusters and shares etcd and the queue.
func TestIngest_OldEventsOfForeignClustersAreRecorded(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	now := time.Now().UTC().Format(time.RFC3339)
	w.putRecord("ecs/reconciled/999999999999/us-east-1", fmt.Sprintf(`{"startedAt":%q,"finishedAt":%q}`, now, now))
	c := w.start().ready()
	// Until ECS shows its account, the replica takes the recorded one for its own.
	testenv.Eventually(t, func() bool {
		own, err := w.client.Get(t.Context(), "ecs/reconciled/123456789012/us-east-1")
		return err == nil && own.Count == 1 && strings.Contains(string(own.Kvs[0].Value), "finishedAt")
	})
	testenv.Eventually(t, func() bool { answer, _ := c.get("/v1/tasks"); return answer.StatusCode == http.StatusOK })
	w.sendMessage(replayed(t, "task-ec2-running.json", "123456789012", "999999999999"))
	w.awaitEmptyQueue()
	assert.Contains(t, c.served(), strings.Replace(forgottenTask, "123456789012", "999999999999", 1))
	assert.Zero(t, w.sim.Calls("DescribeTasks"))
}
