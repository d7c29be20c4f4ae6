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
	"github.com/go-openapi/swag/conv"
)

const (
	maxMessages = 10               // limit of one receive or delete
	longPoll    = 20 * time.Second // maximum wait of a receive
	callTimeout = 10 * time.Second // for one call, in addition to a long poll
)

// SQS is an Amazon SQS queue. The first call looks up the queue's URL, so the queue may be created later than the
// SQS.
type SQS struct {
	client  *sqs.Client
	address Address

	mu  sync.Mutex
	url *string
}

// NewSQS returns a queue, given a client of its region. It makes no call.
func NewSQS(client *sqs.Client, address Address) *SQS { return &SQS{client: client, address: address} }

func (q *SQS) queueURL(ctx context.Context) (*string, error) {
	if q.address.URL != "" {
		return &q.address.URL, nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.url == nil {
		input := &sqs.GetQueueUrlInput{QueueName: &q.address.Name}
		if q.address.Account != "" {
			input.QueueOwnerAWSAccountId = &q.address.Account
		}
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		output, err := q.client.GetQueueUrl(ctx, input)
		if err != nil {
			return nil, fmt.Errorf("look up queue %s: %w", q.address.Name, err)
		}
		q.url = output.QueueUrl
	}
	return q.url, nil
}

// forgetMissing makes the next call look up the URL again if err says that the queue does not exist: the queue may
// have been deleted and created again.
func (q *SQS) forgetMissing(err error) {
	if missing := (*types.QueueDoesNotExist)(nil); errors.As(err, &missing) {
		q.mu.Lock()
		q.url = nil
		q.mu.Unlock()
	}
}

// Receive implements Queue.
func (q *SQS) Receive(ctx context.Context, wait time.Duration) ([]Message, error) {
	url, err := q.queueURL(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, wait+callTimeout)
	defer cancel()
	output, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: url, MaxNumberOfMessages: maxMessages, WaitTimeSeconds: int32(wait / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{sentTimestamp},
	}, noRetry)
	if err != nil {
		q.forgetMissing(err)
		return nil, fmt.Errorf("receive from queue %s: %w", q.address.Name, err)
	}
	messages := make([]Message, len(output.Messages))
	for i, m := range output.Messages {
		messages[i] = Message{
			ID: conv.Value(m.MessageId), Body: []byte(conv.Value(m.Body)), Handle: conv.Value(m.ReceiptHandle),
			Sent: parseSent(m.Attributes[string(sentTimestamp)]),
		}
	}
	return messages, nil
}

// noRetry leaves retries to the pollers, which share their back-off.
func noRetry(o *sqs.Options) { o.Retryer = aws.NopRetryer{} }

const sentTimestamp = types.MessageSystemAttributeNameSentTimestamp

// parseSent parses milliseconds since 1970. It returns the zero time for anything else.
func parseSent(timestamp string) time.Time {
	milliseconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(milliseconds)
}

// Delete deletes messages in one call. The error reports the messages that SQS failed to delete. SQS delivers
// them again, which does no harm.
func (q *SQS) Delete(ctx context.Context, messages []Message) error {
	url, err := q.queueURL(ctx)
	if err != nil {
		return err
	}
	entries := make([]types.DeleteMessageBatchRequestEntry, len(messages))
	for i := range messages {
		entries[i] = types.DeleteMessageBatchRequestEntry{
			Id: conv.Pointer(strconv.Itoa(i)), ReceiptHandle: &messages[i].Handle,
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	output, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: url, Entries: entries})
	if err != nil {
		q.forgetMissing(err)
		return fmt.Errorf("delete from queue %s: %w", q.address.Name, err)
	}
	return q.batchError("delete from", len(messages), output.Failed)
}

// Extend keeps messages invisible for the given time, with one call.
func (q *SQS) Extend(ctx context.Context, messages []Message, visibility time.Duration) error {
	url, err := q.queueURL(ctx)
	if err != nil {
		return err
	}
	entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(messages))
	for i := range messages {
		entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{
			Id: conv.Pointer(strconv.Itoa(i)), ReceiptHandle: &messages[i].Handle,
			VisibilityTimeout: int32(visibility / time.Second),
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	output, err := q.client.ChangeMessageVisibilityBatch(ctx,
		&sqs.ChangeMessageVisibilityBatchInput{QueueUrl: url, Entries: entries})
	if err != nil {
		q.forgetMissing(err)
		return fmt.Errorf("extend the visibility of messages of queue %s: %w", q.address.Name, err)
	}
	return q.batchError("extend the visibility of messages of", len(messages), output.Failed)
}

// batchError returns an error if a batch call failed for some of its messages.
func (q *SQS) batchError(operation string, messages int, failed []types.BatchResultErrorEntry) error {
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("%s queue %s: failed for %d of %d messages: %s: %s",
		operation, q.address.Name, len(failed), messages, conv.Value(failed[0].Code), conv.Value(failed[0].Message))
}
