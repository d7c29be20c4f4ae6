package ecssim

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (w *fixture) newQueue(name string, attributes map[string]string) *string {
	w.t.Helper()
	out, err := w.sqs.CreateQueue(w.ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	require.NoError(w.t, err)
	return out.QueueUrl
}

func (w *fixture) send(queue *string, bodies ...string) {
	w.t.Helper()
	for _, body := range bodies {
		_, err := w.sqs.SendMessage(w.ctx, &sqs.SendMessageInput{QueueUrl: queue, MessageBody: &body})
		require.NoError(w.t, err)
	}
}

func (w *fixture) receive(queue *string, most int32) []types.Message {
	w.t.Helper()
	out, err := w.sqs.ReceiveMessage(w.ctx, &sqs.ReceiveMessageInput{
		QueueUrl: queue, MaxNumberOfMessages: most, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	})
	require.NoError(w.t, err)
	return out.Messages
}

func (w *fixture) attribute(queue *string, name types.QueueAttributeName) string {
	w.t.Helper()
	out, err := w.sqs.GetQueueAttributes(w.ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: queue, AttributeNames: []types.QueueAttributeName{name},
	})
	require.NoError(w.t, err)
	return out.Attributes[string(name)]
}

func code(err error) string {
	var apiError smithy.APIError
	if errors.As(err, &apiError) {
		return apiError.ErrorCode()
	}
	return fmt.Sprint(err)
}

func TestSQS_CreateAndListQueues(t *testing.T) {
	w := newFixture(t, Config{})
	url := w.newQueue("q", map[string]string{"VisibilityTimeout": "5", "ReceiveMessageWaitTimeSeconds": "1"})
	assert.Equal(t, w.url+"/123456789012/q", *url)
	assert.Equal(t, url, w.newQueue("q", map[string]string{"VisibilityTimeout": "5"}), "the same queue")
	_, err := w.sqs.CreateQueue(w.ctx, &sqs.CreateQueueInput{
		QueueName: aws.String("q"), Attributes: map[string]string{"VisibilityTimeout": "6"},
	})
	assert.ErrorAs(t, err, new(*types.QueueNameExists))
	list, err := w.sqs.ListQueues(w.ctx, &sqs.ListQueuesInput{MaxResults: aws.Int32(1)})
	require.NoError(t, err)
	assert.Equal(t, []string{*w.queue}, list.QueueUrls)
	list, err = w.sqs.ListQueues(w.ctx, &sqs.ListQueuesInput{MaxResults: aws.Int32(1), NextToken: list.NextToken})
	require.NoError(t, err)
	assert.Equal(t, []string{*url}, list.QueueUrls)
	assert.Nil(t, list.NextToken)
	_, err = w.sqs.SetQueueAttributes(w.ctx, &sqs.SetQueueAttributesInput{
		QueueUrl: url, Attributes: map[string]string{"VisibilityTimeout": "7", "Policy": "{}"},
	})
	require.NoError(t, err)
	assert.Equal(t, "7", w.attribute(url, "VisibilityTimeout"))
	assert.Equal(t, "{}", w.attribute(url, "Policy"))
	assert.Equal(t, "arn:aws:sqs:us-east-1:123456789012:q", w.attribute(url, "QueueArn"))

	for name, attributes := range map[string]map[string]string{
		"an unknown attribute":              {"Nope": "1"},
		"a timeout out of range":            {"VisibilityTimeout": "43201"},
		"a delay that is not a number":      {"DelaySeconds": "x"},
		"a redrive policy that is not JSON": {"RedrivePolicy": "please"},
		"a redrive policy to an unknown queue": {
			"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:nope","maxReceiveCount":1}`,
		},
	} {
		_, err := w.sqs.SetQueueAttributes(w.ctx, &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: attributes})
		assert.Error(t, err, name)
	}
	for _, name := range []string{"a.fifo", "a b", strings.Repeat("a", 81)} {
		_, err := w.sqs.CreateQueue(w.ctx, &sqs.CreateQueueInput{QueueName: &name})
		assert.Error(t, err, name)
	}
	_, err = w.sqs.GetQueueUrl(w.ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("nope")})
	assert.ErrorAs(t, err, new(*types.QueueDoesNotExist))
	_, err = w.sqs.ReceiveMessage(w.ctx, &sqs.ReceiveMessageInput{QueueUrl: aws.String(w.url + "/123456789012/nope")})
	assert.ErrorAs(t, err, new(*types.QueueDoesNotExist))
}

func TestSQS_ReceiveAndDelete(t *testing.T) {
	w := newFixture(t, Config{})
	q := w.newQueue("q", nil)
	sent, err := w.sqs.SendMessageBatch(w.ctx, &sqs.SendMessageBatchInput{
		QueueUrl: q, Entries: []types.SendMessageBatchRequestEntry{
			{Id: aws.String("a"), MessageBody: aws.String("héllo")},
			{Id: aws.String("b"), MessageBody: aws.String("\x01")},
			{Id: aws.String("c"), MessageBody: aws.String("c"), MessageAttributes: map[string]types.MessageAttributeValue{
				"n.1": {DataType: aws.String("Number"), StringValue: aws.String("3")},
				"bin": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 1}},
			}},
		},
	})
	require.NoError(t, err)
	assert.Len(t, sent.Successful, 2)
	require.Len(t, sent.Failed, 1)
	assert.Equal(t, "InvalidMessageContents", *sent.Failed[0].Code)

	assert.Len(t, w.receive(q, 0), 1, "the default is one message")
	out, err := w.sqs.ReceiveMessage(w.ctx, &sqs.ReceiveMessageInput{
		QueueUrl: q, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"n.*", "bin"},
	})
	require.NoError(t, err)
	require.Len(t, out.Messages, 1, "the other message is in flight")
	m := out.Messages[0]
	assert.Equal(t, "c", *m.Body)
	assert.Equal(t, "3", *m.MessageAttributes["n.1"].StringValue)
	assert.Equal(t, []byte{0, 1}, m.MessageAttributes["bin"].BinaryValue)
	assert.Equal(t, sent.Successful[1].MD5OfMessageAttributes, m.MD5OfMessageAttributes)
	assert.Empty(t, m.Attributes, "system attributes are returned on request only")
	assert.Empty(t, w.receive(q, 10))
	assert.Equal(t, "2", w.attribute(q, "ApproximateNumberOfMessagesNotVisible"))

	deleted, err := w.sqs.DeleteMessageBatch(w.ctx, &sqs.DeleteMessageBatchInput{
		QueueUrl: q, Entries: []types.DeleteMessageBatchRequestEntry{
			{Id: aws.String("1"), ReceiptHandle: m.ReceiptHandle}, {Id: aws.String("2"), ReceiptHandle: aws.String("invalid")},
			{Id: aws.String("3"), ReceiptHandle: m.ReceiptHandle},
		},
	})
	require.NoError(t, err)
	assert.Len(t, deleted.Successful, 2, "deleting a message twice succeeds")
	require.Len(t, deleted.Failed, 1)
	assert.Equal(t, "ReceiptHandleIsInvalid", *deleted.Failed[0].Code)
	assert.True(t, deleted.Failed[0].SenderFault)
	assert.Equal(t, "The input receipt handle is invalid.", *deleted.Failed[0].Message)
	assert.Equal(t, "1", w.attribute(q, "ApproximateNumberOfMessagesNotVisible"))

	w.send(q, "more")
	_, err = w.sqs.PurgeQueue(w.ctx, &sqs.PurgeQueueInput{QueueUrl: q})
	require.NoError(t, err)
	assert.Equal(t, "0", w.attribute(q, "ApproximateNumberOfMessages"))
	assert.Empty(t, w.receive(q, 10))
}

// The expected sums come from AWS.
func TestSQS_AttributesMD5(t *testing.T) {
	assert.Equal(
		t, "235c5c510d26fb653d073faed50ae77c",
		attributesMD5(map[string]messageAttribute{"timestamp": {DataType: "Number", StringValue: "1493147359900"}}),
	)
	assert.Empty(t, attributesMD5(nil))
}

func TestSQS_RejectsInvalidInput(t *testing.T) {
	w := newFixture(t, Config{})
	q := w.newQueue("q", map[string]string{"MaximumMessageSize": "1024"})
	entries := func(ids ...string) []types.DeleteMessageBatchRequestEntry {
		all := []types.DeleteMessageBatchRequestEntry{} // the SDK rejects nil
		for _, id := range ids {
			all = append(all, types.DeleteMessageBatchRequestEntry{Id: &id, ReceiptHandle: aws.String("x")})
		}
		return all
	}
	deleteBatch := func(ids ...string) error {
		_, err := w.sqs.DeleteMessageBatch(w.ctx, &sqs.DeleteMessageBatchInput{
			QueueUrl: q, Entries: entries(ids...),
		})
		return err
	}
	assert.ErrorAs(t, deleteBatch(), new(*types.EmptyBatchRequest))
	assert.ErrorAs(
		t, deleteBatch("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"), new(*types.TooManyEntriesInBatchRequest),
	)
	assert.ErrorAs(t, deleteBatch("1", "1"), new(*types.BatchEntryIdsNotDistinct))
	assert.ErrorAs(t, deleteBatch("a b"), new(*types.InvalidBatchEntryId))
	_, err := w.sqs.DeleteMessage(w.ctx, &sqs.DeleteMessageInput{QueueUrl: q, ReceiptHandle: aws.String("x")})
	assert.ErrorAs(t, err, new(*types.ReceiptHandleIsInvalid))
	_, err = w.sqs.SendMessageBatch(w.ctx, &sqs.SendMessageBatchInput{
		QueueUrl: w.queue, Entries: []types.SendMessageBatchRequestEntry{
			{Id: aws.String("1"), MessageBody: aws.String(strings.Repeat("a", maxMessage))},
			{Id: aws.String("2"), MessageBody: aws.String("a")},
		},
	})
	assert.ErrorAs(t, err, new(*types.BatchRequestTooLong))

	for name, in := range map[string]*sqs.SendMessageInput{
		"an empty body":            {MessageBody: aws.String("")},
		"a body that is too long":  {MessageBody: aws.String(strings.Repeat("a", 1025))},
		"a control character":      {MessageBody: aws.String("\x00")},
		"a delay that is too long": {MessageBody: aws.String("a"), DelaySeconds: 901},
	} {
		in.QueueUrl = q
		_, err := w.sqs.SendMessage(w.ctx, in)
		assert.Error(t, err, name)
	}
	for name, in := range map[string]*sqs.ReceiveMessageInput{
		"eleven messages": {MaxNumberOfMessages: 11}, "a wait of 21 s": {WaitTimeSeconds: 21},
		"a negative timeout": {VisibilityTimeout: -1},
	} {
		in.QueueUrl = q
		_, err := w.sqs.ReceiveMessage(w.ctx, in)
		assert.Equal(t, "InvalidParameterValue", code(err), name)
	}
	w.send(q, "a")
	handle := w.receive(q, 1)[0].ReceiptHandle
	for _, seconds := range []int32{-1, 43_201} {
		_, err := w.sqs.ChangeMessageVisibility(w.ctx, &sqs.ChangeMessageVisibilityInput{
			QueueUrl: q, ReceiptHandle: handle, VisibilityTimeout: seconds,
		})
		assert.Equal(t, "InvalidParameterValue", code(err))
	}
}
