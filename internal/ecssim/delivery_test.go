package ecssim

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// drain receives and deletes every message of a queue.
func drain(t *testing.T, client *sqs.Client, name string) (all []types.Message) {
	t.Helper()
	queue, err := client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &name})
	require.NoError(t, err)
	for {
		out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: queue.QueueUrl, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"},
		})
		require.NoError(t, err)
		if len(out.Messages) == 0 {
			return all
		}
		for _, m := range out.Messages {
			all = append(all, m)
			_, err := client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{
				QueueUrl: queue.QueueUrl, ReceiptHandle: m.ReceiptHandle,
			})
			require.NoError(t, err)
		}
	}
}

func TestDelivery_IsRetriedFor24HoursThenDeadLettered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{DeadLetterQueue: "undelivered"})
		defer s.Close()
		client := sqs.NewFromConfig(inProcess(s))
		s.SetFaults(Faults{Delivery: DeliveryFaults{Fail: 1}})
		s.AddInstances("default", 1)
		time.Sleep(10 * time.Hour)
		assert.Empty(t, drain(t, client, "undelivered"), "still retrying")
		time.Sleep(14*time.Hour + time.Minute)
		synctest.Wait()
		assert.Empty(t, drain(t, client, "blox_queue"))
		letters := drain(t, client, "undelivered")
		require.Len(t, letters, 1)
		attribute := func(name string) string { return *letters[0].MessageAttributes[name].StringValue }
		assert.Equal(t, "MaximumEventAgeInSeconds", attribute("EXHAUSTED_RETRY_CONDITION"))
		assert.Equal(t, "SDK_CLIENT_ERROR", attribute("ERROR_CODE"))
		assert.Equal(t, "arn:aws:sqs:us-east-1:123456789012:blox_queue", attribute("TARGET_ARN"))
		assert.Contains(t, *letters[0].Body, "ECS Container Instance State Change")
		assert.Equal(t, 1, s.Counters().Events.DeadLettered)
		assert.Greater(t, s.Counters().Events.Failed, 100)
	})
}

func TestDelivery_OvertakesAndArrivesOnceTheTargetAccepts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{StreamName: "events"})
		defer s.Close()
		client := sqs.NewFromConfig(inProcess(s))
		s.SetFaults(Faults{Delivery: DeliveryFaults{Fail: 1, Target: "queue"}})
		instance := s.AddInstances("default", 1)[0]
		assert.Equal(t, 1, s.state("").Streams["events"], "the other target has it")
		s.SetFaults(Faults{})
		require.NoError(t, s.DrainInstance(instance))
		later := drain(t, client, "blox_queue")
		require.Len(t, later, 1)
		assert.Contains(t, *later[0].Body, "DRAINING", "it overtook the first event")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		first := drain(t, client, "blox_queue")
		require.Len(t, first, 1)
		assert.Contains(t, *first[0].Body, `"ACTIVE"`)
	})
}

func TestDelivery_LateFailuresDeliverAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Retries: 2})
		defer s.Close()
		s.SetFaults(Faults{Delivery: DeliveryFaults{Late: 1}})
		s.AddInstances("default", 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Len(t, drain(t, sqs.NewFromConfig(inProcess(s)), "blox_queue"), 3, "the first delivery and two retries")
		assert.Equal(t, 1, s.Counters().Events.Undelivered, "there is no dead-letter queue")
	})
}

func TestDelivery_StopsAtRetriesOrAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Retries: 3, DeadLetterQueue: "undelivered"})
		defer s.Close()
		client := sqs.NewFromConfig(inProcess(s))
		s.SetFaults(Faults{Delivery: DeliveryFaults{Fail: 1}})
		s.AddInstances("default", 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		letters := drain(t, client, "undelivered")
		require.Len(t, letters, 1)
		assert.Equal(t, "MaximumRetryAttempts", *letters[0].MessageAttributes["EXHAUSTED_RETRY_CONDITION"].StringValue)
		assert.Equal(t, "3", *letters[0].MessageAttributes["RETRY_ATTEMPTS"].StringValue)
		s.SetFaults(Faults{Delivery: DeliveryFaults{Fail: 1, Permanent: true, Code: "NO_PERMISSIONS"}})
		s.AddInstances("default", 1)
		letters = drain(t, client, "undelivered")
		require.Len(t, letters, 1)
		assert.Equal(t, "NO_PERMISSIONS", *letters[0].MessageAttributes["ERROR_CODE"].StringValue)
		assert.NotContains(t, letters[0].MessageAttributes, "EXHAUSTED_RETRY_CONDITION")
	})
}

// Over HTTP and the wall clock, every event arrives although half of the deliveries fail.
func TestDelivery_IsAtLeastOnce(t *testing.T) {
	w := newFixture(t, Config{RetryBackoff: time.Millisecond})
	w.RegisterTaskDefinition("agent")
	w.SetFaults(Faults{Delivery: DeliveryFaults{Fail: 0.5, Late: 0.2}})
	instances := w.AddInstances("default", 20)
	for _, instance := range instances {
		_, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
			TaskDefinition: aws.String("agent"), ContainerInstances: []string{instance},
		})
		require.NoError(t, err)
	}
	running := map[string]bool{}
	w.eventually(func() bool {
		for _, e := range w.events() {
			if e.Detail["lastStatus"] == "RUNNING" {
				running[e.Resources[0]] = true
			}
		}
		return len(running) == len(instances)
	}, "an event of each task that runs")
	assert.Positive(t, w.Counters().Events.Failed)
	assert.Zero(t, w.Counters().Events.Undelivered)
}

func TestDelivery_FaultsAreValidated(t *testing.T) {
	for _, f := range []DeliveryFaults{{Fail: 1.1}, {Late: -1}, {Target: "topic"}} {
		assert.Error(t, Faults{Delivery: f}.validate(), "%+v", f)
	}
	for _, c := range []Config{{RetryAge: time.Second}, {RetryAge: 25 * time.Hour}, {Retries: 186}} {
		assert.Error(t, c.ValidateRetries(), "%+v", c)
	}
	assert.NoError(t, Defaults().ValidateRetries())
}
