package ecssim

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSQS_LongPollWakesOnSend(t *testing.T) {
	w := newFixture(t, Config{})
	q := w.newQueue("q", nil)
	got := make(chan []types.Message)
	for range 3 {
		go func() {
			out, err := w.sqs.ReceiveMessage(w.ctx, &sqs.ReceiveMessageInput{
				QueueUrl: q, MaxNumberOfMessages: 1, WaitTimeSeconds: 20,
			})
			assert.NoError(t, err)
			got <- out.Messages
		}()
	}
	for _, body := range []string{"a", "b", "c"} {
		w.send(q, body)
		assert.Equal(t, body, *(<-got)[0].Body)
	}
}

func TestSQS_RedeliversAfterVisibilityTimeout(t *testing.T) {
	w := newFixture(t, Config{})
	q := w.newQueue("q", nil)
	w.send(q, "a")
	first := w.receive(q, 1)[0]
	assert.Equal(t, "1", first.Attributes["ApproximateReceiveCount"])
	assert.NotEmpty(t, first.Attributes["SentTimestamp"])
	changeVisibility := func(handle *string, seconds int32) error {
		out, err := w.sqs.ChangeMessageVisibilityBatch(w.ctx, &sqs.ChangeMessageVisibilityBatchInput{
			QueueUrl: q, Entries: []types.ChangeMessageVisibilityBatchRequestEntry{
				{Id: aws.String("1"), ReceiptHandle: handle, VisibilityTimeout: seconds},
			},
		})
		if err == nil && len(out.Failed) > 0 {
			err = fmt.Errorf("%s", *out.Failed[0].Code)
		}
		return err
	}
	require.NoError(t, changeVisibility(first.ReceiptHandle, 60))
	assert.Empty(t, w.receive(q, 1))
	_, err := w.sqs.ChangeMessageVisibility(w.ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: q, ReceiptHandle: first.ReceiptHandle, VisibilityTimeout: 0,
	})
	require.NoError(t, err)
	assert.EqualError(t, changeVisibility(first.ReceiptHandle, 0), "MessageNotInflight")
	second := w.receive(q, 1)[0]
	assert.Equal(t, first.MessageId, second.MessageId)
	assert.Equal(t, "2", second.Attributes["ApproximateReceiveCount"])
	_, err = w.sqs.DeleteMessage(w.ctx, &sqs.DeleteMessageInput{QueueUrl: q, ReceiptHandle: first.ReceiptHandle})
	require.NoError(t, err)
	assert.Equal(t, "1", w.attribute(q, "ApproximateNumberOfMessagesNotVisible"), "an outdated handle deletes nothing")
	_, err = w.sqs.DeleteMessage(w.ctx, &sqs.DeleteMessageInput{QueueUrl: q, ReceiptHandle: second.ReceiptHandle})
	require.NoError(t, err)
	assert.Equal(t, "0", w.attribute(q, "ApproximateNumberOfMessagesNotVisible"))
}

func TestSQS_Redrive(t *testing.T) {
	w := newFixture(t, Config{})
	dead := w.newQueue("dead", nil)
	q := w.newQueue("q", map[string]string{
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead","maxReceiveCount":"2"}`,
	})
	assert.JSONEq(
		t, `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead","maxReceiveCount":2}`,
		w.attribute(q, "RedrivePolicy"),
	)
	w.send(q, "poison")
	var id *string
	for range 2 {
		m := w.receive(q, 1)[0]
		id = m.MessageId
		_, err := w.sqs.ChangeMessageVisibility(w.ctx, &sqs.ChangeMessageVisibilityInput{
			QueueUrl: q, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0,
		})
		require.NoError(t, err)
	}
	w.send(q, "fine")
	got := w.receive(q, 10)
	require.Len(t, got, 1)
	assert.Equal(t, "fine", *got[0].Body)
	moved := w.receive(dead, 10)
	require.Len(t, moved, 1)
	assert.Equal(t, id, moved[0].MessageId)
	assert.Equal(t, "poison", *moved[0].Body)
	assert.Equal(t, "0", w.attribute(q, "ApproximateNumberOfMessages"))
}

// The test uses synctest: delay and retention take days.
func TestSQS_DelayAndRetention(t *testing.T) {
	receive := func(t *testing.T, q *queue, wait time.Duration) []string {
		got, _, err := q.receive(t.Context(), 10, -1, wait, nil)
		require.NoError(t, err)
		var bodies []string
		for _, m := range got {
			bodies = append(bodies, fmt.Sprintf("%s %d", m.body, m.receives))
		}
		return bodies
	}
	synctest.Test(t, func(t *testing.T) {
		q := newQueue("q", "arn")
		q.send("a")
		assert.Equal(t, []string{"a 1"}, receive(t, q, 0))
		time.Sleep(29 * time.Second)
		assert.Empty(t, receive(t, q, 0), "in flight for 30 s")
		start := time.Now()
		assert.Equal(t, []string{"a 2"}, receive(t, q, 20*time.Second), "a long poll receives it again")
		assert.InDelta(t, time.Second, time.Since(start), float64(10*time.Millisecond))

		q.put(newMessage("late", nil), 5*time.Second)
		assert.Empty(t, receive(t, q, 0))
		visible, inFlight, delayed := q.counts()
		assert.Equal(t, []int{0, 1, 1}, []int{visible, inFlight, delayed})
		assert.Equal(t, []string{"late 1"}, receive(t, q, 20*time.Second))
		start = time.Now()
		assert.Empty(t, receive(t, q, 3*time.Second))
		assert.Equal(t, 3*time.Second, time.Since(start).Truncate(100*time.Millisecond))

		time.Sleep(4 * 24 * time.Hour)
		assert.Empty(t, receive(t, q, 0), "older than the retention")
		visible, inFlight, delayed = q.counts()
		assert.Equal(t, []int{0, 0, 0}, []int{visible, inFlight, delayed})
	})
}

func TestSQS_ZeroVisibilityReturnsAMessageOnce(t *testing.T) {
	q := newQueue("q", "arn")
	q.send("a")
	for range 3 {
		got, _, err := q.receive(t.Context(), 10, 0, 0, nil)
		require.NoError(t, err)
		assert.Len(t, got, 1)
	}
	require.NoError(t, q.remove(receiptHandle(q.visible[q.firstVisible])))
	got, _, err := q.receive(t.Context(), 10, 0, 0, nil)
	require.NoError(t, err)
	assert.Empty(t, got, "a message deleted while visible is not received")
}

func TestSQS_ReceiveEndsWithItsClient(t *testing.T) {
	q := newQueue("q", "arn")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, _, err := q.receive(ctx, 1, -1, 20*time.Second, nil)
	require.NoError(t, err)
	assert.Empty(t, got)
}

// BenchmarkReceiveAndDelete shows that the cost of a receive does not depend on the length of the queue.
func BenchmarkReceiveAndDelete(b *testing.B) {
	for _, n := range []int{100, 50_000} {
		b.Run(fmt.Sprintf("messages=%d", n), func(b *testing.B) {
			q := newQueue("q", "arn")
			for range n {
				q.send("body")
			}
			for b.Loop() {
				got, _, err := q.receive(b.Context(), 10, -1, 0, nil)
				if err != nil || len(got) != 10 {
					b.Fatal(len(got), err)
				}
				for _, m := range got {
					if err := q.remove(m.receiptHandle); err != nil {
						b.Fatal(err)
					}
					q.send("body")
				}
			}
		})
	}
}
