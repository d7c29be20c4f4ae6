package ecssim

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAcknowledged_ListsDeletedEvents(t *testing.T) {
	w := newFixture(t, Config{Acknowledged: 2})
	instances := w.AddInstances("default", 5)
	assert.Empty(t, w.Acknowledged(0), "no message was deleted")
	got, err := w.sqs.ReceiveMessage(w.ctx, &sqs.ReceiveMessageInput{QueueUrl: w.queue, MaxNumberOfMessages: 10})
	require.NoError(t, err)
	require.Len(t, got.Messages, 5)
	for _, m := range got.Messages {
		for range 2 { // the second one changes nothing
			_, err = w.sqs.DeleteMessage(w.ctx, &sqs.DeleteMessageInput{QueueUrl: w.queue, ReceiptHandle: m.ReceiptHandle})
			require.NoError(t, err)
		}
	}
	assert.Equal(t, []Acknowledged{{4, instances[3], 1}, {5, instances[4], 1}}, w.Acknowledged(3))
	assert.GreaterOrEqual(t, len(w.Acknowledged(0)), 2, "at least the requested number")
	assert.Less(t, len(w.Acknowledged(0)), 5, "older ones are omitted")
	assert.Empty(t, w.Acknowledged(5))
	assert.Empty(t, newFixture(t, Config{}).Acknowledged(0))
}
