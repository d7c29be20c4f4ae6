package ecssim

import (
	"testing"
	"time"

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
	latest := w.Acknowledged(3)
	for n := range latest {
		assert.WithinDuration(t, time.Now(), latest[n].Time, time.Minute)
		latest[n].Time = time.Time{}
	}
	assert.Equal(t, []Acknowledged{
		{Number: 4, ARN: instances[3], Version: 1}, {Number: 5, ARN: instances[4], Version: 1},
	}, latest)
	assert.GreaterOrEqual(t, len(w.Acknowledged(0)), 2, "at least the requested number")
	assert.Less(t, len(w.Acknowledged(0)), 5, "older ones are omitted")
	assert.Empty(t, w.Acknowledged(5))
	assert.Empty(t, newFixture(t, Config{}).Acknowledged(0))
}
