package ingest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	batch       = 10               // the most that one receive or delete carries
	longPoll    = 20 * time.Second // the longest that SQS lets a receive wait
	callTimeout = 10 * time.Second // beyond a long poll, what a call may take
)

// SQS is a queue of Amazon SQS. It is looked up at the first use, so that it may be created later than this.
type SQS struct {
	client *sqs.Client
	name   string

	mu  sync.Mutex
	url *string
}

// NewSQS makes no call yet.
func NewSQS(client *sqs.Client, name string) *SQS { return &SQS{client: client, name: name} }

func (q *SQS) queueURL(ctx context.Context) (*string, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.url == nil {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		answer, err := q.client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &q.name})
		if err != nil {
			return nil, fmt.Errorf("look up queue %s: %w", q.name, err)
		}
		q.url = answer.QueueUrl
	}
	return q.url, nil
}

// forget makes the next call look the queue up again: it may have been deleted and made anew.
func (q *SQS) forget(err error) {
	if notThere := (*types.QueueDoesNotExist)(nil); errors.As(err, &notThere) {
		q.mu.Lock()
		q.url = nil
		q.mu.Unlock()
	}
}

// Receive long-polls for up to ten messages.
func (q *SQS) Receive(ctx context.Context) ([]Message, error) {
	url, err := q.queueURL(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, longPoll+callTimeout)
	defer cancel()
	answer, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: url, MaxNumberOfMessages: batch, WaitTimeSeconds: int32(longPoll / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{sentTimestamp},
	})
	if err != nil {
		q.forget(err)
		return nil, fmt.Errorf("receive from queue %s: %w", q.name, err)
	}
	messages := make([]Message, len(answer.Messages))
	for i, m := range answer.Messages {
		messages[i] = Message{
			ID: aws.ToString(m.MessageId), Body: []byte(aws.ToString(m.Body)), Handle: aws.ToString(m.ReceiptHandle),
			Sent: sent(m.Attributes[string(sentTimestamp)]),
		}
	}
	return messages, nil
}

const sentTimestamp = types.MessageSystemAttributeNameSentTimestamp

// sent reads milliseconds since 1970; what is none is the zero time.
func sent(timestamp string) time.Time {
	milliseconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(milliseconds)
}

// Delete deletes in one call. What stays undeleted comes again, which does no harm, and is part of the error.
func (q *SQS) Delete(ctx context.Context, messages []Message) error {
	url, err := q.queueURL(ctx)
	if err != nil {
		return err
	}
	entries := make([]types.DeleteMessageBatchRequestEntry, len(messages))
	for i := range messages {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &messages[i].Handle}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: url, Entries: entries})
	if err != nil {
		q.forget(err)
		return fmt.Errorf("delete from queue %s: %w", q.name, err)
	}
	if len(answer.Failed) > 0 {
		first := answer.Failed[0]
		return fmt.Errorf("delete from queue %s: %d of %d stay: %s: %s", q.name, len(answer.Failed), len(messages),
			aws.ToString(first.Code), aws.ToString(first.Message))
	}
	return nil
}
