package e2e

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

func TestQueue_MayHaveANameURLOrARN(t *testing.T) {
	event := string(testenv.Event(t, "task-ec2-running.json"))
	notification, err := json.Marshal(map[string]string{
		"Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:123456789012:ecs", "Message": event,
	})
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		queue func(*system) string
		send  func(*system)
	}{
		"ARN of a queue": {
			queue: func(*system) string { return "arn:aws:sqs:us-east-1:123456789012:blox_queue" },
			send:  func(w *system) { w.sendMessage(event) },
		},
		"URL of a queue that an SNS topic sends to": {
			queue: func(w *system) string { _, url := w.sqs(); return *url },
			send:  func(w *system) { w.sendMessage(string(notification)) },
		},
		"ARN of a stream": {
			queue: func(*system) string { return "arn:aws:kinesis:us-east-1:123456789012:stream/events" },
			send:  func(w *system) { w.putKinesisRecord(event) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newSystem(t, ecssim.Config{StreamName: "events"})
			c := w.run(testenv.FreeAddress(t), tc.queue(w)).ready()
			tc.send(w)
			testenv.Eventually(t, func() bool { return c.served()[runningTask] == "RUNNING" }, "the event is not stored")
		})
	}
}
