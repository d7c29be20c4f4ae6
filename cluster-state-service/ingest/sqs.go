package ingest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

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
	client *sqs.Client
	name   string

	mu  sync.Mutex
	url *string
}

// NewSQS returns the queue of the given name. It makes no call.
func NewSQS(client *sqs.Client, name string) *SQS { return &SQS{client: client, name: name} }

func (q *SQS) queueURL(ctx context.Context) (*string, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.url == nil {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		output, err := q.client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &q.name})
		if err != nil {
			return nil, fmt.Errorf("look up queue %s: %w", q.name, err)
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

// Receive long-polls for up to ten messages.
func (q *SQS) Receive(ctx context.Context) ([]Message, error) {
	url, err := q.queueURL(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, longPoll+callTimeout)
	defer cancel()
	output, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: url, MaxNumberOfMessages: maxMessages, WaitTimeSeconds: int32(longPoll / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{sentTimestamp},
	})
	if err != nil {
		q.forgetMissing(err)
		return nil, fmt.Errorf("receive from queue %s: %w", q.name, err)
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
		return fmt.Errorf("delete from queue %s: %w", q.name, err)
	}
	if len(output.Failed) > 0 {
		first := output.Failed[0]
		return fmt.Errorf("delete from queue %s: failed for %d of %d messages: %s: %s",
			q.name, len(output.Failed), len(messages), conv.Value(first.Code), conv.Value(first.Message))
	}
	return nil
}
