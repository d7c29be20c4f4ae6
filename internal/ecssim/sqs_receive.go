package ecssim

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

type receiveInput struct {
	queueURL
	MaxNumberOfMessages         *int     `json:"MaxNumberOfMessages"`
	VisibilityTimeout           *int     `json:"VisibilityTimeout"`
	WaitTimeSeconds             *int     `json:"WaitTimeSeconds"`
	AttributeNames              []string `json:"AttributeNames"`
	MessageSystemAttributeNames []string `json:"MessageSystemAttributeNames"`
	MessageAttributeNames       []string `json:"MessageAttributeNames"`
}

type messageShape struct {
	MessageID              string                      `json:"MessageId"`
	ReceiptHandle          string                      `json:"ReceiptHandle"`
	MD5OfBody              string                      `json:"MD5OfBody"`
	Body                   string                      `json:"Body"`
	Attributes             map[string]string           `json:"Attributes,omitempty"`
	MD5OfMessageAttributes string                      `json:"MD5OfMessageAttributes,omitempty"`
	MessageAttributes      map[string]messageAttribute `json:"MessageAttributes,omitempty"`
}

func (s *Sim) receiveMessage(r request, q *queue, in receiveInput) (any, error) {
	limit := 1
	if in.MaxNumberOfMessages != nil {
		limit = *in.MaxNumberOfMessages
	}
	wait, visibility := q.waitTime(), time.Duration(-1)
	if in.WaitTimeSeconds != nil {
		wait = time.Duration(*in.WaitTimeSeconds) * time.Second
	}
	if in.VisibilityTimeout != nil {
		visibility = time.Duration(*in.VisibilityTimeout) * time.Second
	}
	switch {
	case limit < 1 || limit > maxBatch:
		return nil, sqsInvalid(
			"Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.", limit,
		)
	case wait < 0 || wait > 20*time.Second:
		return nil, sqsInvalid(
			"Value %d for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.",
			*in.WaitTimeSeconds,
		)
	case in.VisibilityTimeout != nil && !visibilityInRange(*in.VisibilityTimeout):
		return nil, errVisibility(*in.VisibilityTimeout)
	}
	got, dead, err := q.receive(r.ctx, limit, visibility, wait, r.interrupted)
	if err != nil {
		return nil, err
	}
	s.moveToDeadLetterQueue(q, dead)
	if len(got) == 0 && s.isDown(serviceSQS) {
		return nil, errUnavailable // the service went down during the long poll
	}
	var out struct {
		Messages []messageShape `json:"Messages,omitempty"` // SQS omits an empty list
	}
	for _, m := range got {
		out.Messages = append(out.Messages, in.shape(m))
	}
	return out, nil
}

// moveToDeadLetterQueue moves messages that reached the maximum receive count to the dead-letter queue.
func (s *Sim) moveToDeadLetterQueue(q *queue, dead []*message) {
	if len(dead) == 0 {
		return
	}
	to := s.queues.byARN(q.deadLetterARN())
	if to == nil {
		to = q // the policy was removed meanwhile
	}
	for _, m := range dead {
		moved := newMessage(m.body, m.attributes)
		moved.id, moved.sentAt = m.id, m.sentAt
		to.put(moved, 0)
	}
}

func (in receiveInput) shape(m receivedMessage) messageShape {
	shape := messageShape{
		MessageID: m.id, ReceiptHandle: m.receiptHandle, MD5OfBody: m.md5, Body: m.body, Attributes: map[string]string{},
	}
	all := map[string]string{
		"SenderId": "AIDASIMULATED", "ApproximateReceiveCount": strconv.Itoa(m.receives),
		"SentTimestamp":                    strconv.FormatInt(m.sentAt.UnixMilli(), 10),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.first.UnixMilli(), 10),
	}
	for _, name := range slices.Concat(in.AttributeNames, in.MessageSystemAttributeNames) {
		if name == "All" {
			shape.Attributes = all
		} else if value, ok := all[name]; ok {
			shape.Attributes[name] = value
		}
	}
	wanted := map[string]messageAttribute{}
	for name, value := range m.attributes {
		if slices.ContainsFunc(in.MessageAttributeNames, func(pattern string) bool {
			prefix, wild := strings.CutSuffix(pattern, ".*")
			return pattern == "All" || pattern == name || wild && strings.HasPrefix(name, prefix)
		}) {
			wanted[name] = value
		}
	}
	shape.MessageAttributes, shape.MD5OfMessageAttributes = wanted, attributesMD5(wanted)
	return shape
}

type receiptHandleInput struct {
	queueURL
	ID                string `json:"Id"` // in a batch
	ReceiptHandle     string `json:"ReceiptHandle"`
	VisibilityTimeout *int   `json:"VisibilityTimeout"`
}

type batchResult struct {
	ID string `json:"Id"`
}

func (s *Sim) deleteMessage(_ request, q *queue, in receiptHandleInput) (any, error) {
	return struct{}{}, q.remove(in.ReceiptHandle)
}

func (s *Sim) deleteMessageBatch(_ request, q *queue, in batchInput[receiptHandleInput]) (any, error) {
	return runBatch(in.Entries, receiptHandleInput.id, func(e receiptHandleInput) (batchResult, error) {
		return batchResult{e.ID}, q.remove(e.ReceiptHandle)
	})
}

func (in receiptHandleInput) id() string { return in.ID }

func (s *Sim) changeMessageVisibility(_ request, q *queue, in receiptHandleInput) (any, error) {
	return struct{}{}, in.changeVisibility(q)
}

func (s *Sim) changeMessageVisibilityBatch(_ request, q *queue, in batchInput[receiptHandleInput]) (any, error) {
	return runBatch(in.Entries, receiptHandleInput.id, func(e receiptHandleInput) (batchResult, error) {
		return batchResult{e.ID}, e.changeVisibility(q)
	})
}

func (in receiptHandleInput) changeVisibility(q *queue) error {
	if in.VisibilityTimeout == nil {
		return &apiError{
			code: "MissingParameter", query: "MissingParameter",
			message: "The request must contain the parameter VisibilityTimeout.",
		}
	}
	if !visibilityInRange(*in.VisibilityTimeout) {
		return errVisibility(*in.VisibilityTimeout)
	}
	return q.changeVisibility(in.ReceiptHandle, time.Duration(*in.VisibilityTimeout)*time.Second)
}

func visibilityInRange(seconds int) bool { return seconds >= 0 && seconds <= 43_200 }

func errVisibility(seconds int) error {
	return sqsInvalid("Value %d for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200.", seconds)
}
