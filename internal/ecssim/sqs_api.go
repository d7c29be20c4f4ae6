package ecssim

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// sqsActions are SQS's actions that are simulated.
var sqsActions = map[string]call{
	"CreateQueue":        withoutLock((*Sim).createQueue),
	"GetQueueUrl":        withoutLock((*Sim).getQueueURL),
	"ListQueues":         withoutLock((*Sim).listQueues),
	"GetQueueAttributes": onQueue((*Sim).getQueueAttributes),
	"SetQueueAttributes": onQueue((*Sim).setQueueAttributes),
	"PurgeQueue":         onQueue((*Sim).purgeQueue),

	"SendMessage":                  onQueue((*Sim).sendMessage),
	"SendMessageBatch":             onQueue((*Sim).sendMessageBatch),
	"ReceiveMessage":               onQueue((*Sim).receiveMessage),
	"DeleteMessage":                onQueue((*Sim).deleteMessage),
	"DeleteMessageBatch":           onQueue((*Sim).deleteMessageBatch),
	"ChangeMessageVisibility":      onQueue((*Sim).changeMessageVisibility),
	"ChangeMessageVisibilityBatch": onQueue((*Sim).changeMessageVisibilityBatch),
}

// queueURL names the queue that a call is about.
type queueURL struct {
	QueueURL string `json:"QueueUrl"`
}

func (in queueURL) url() string { return in.QueueURL }

type queueInput struct {
	queueURL
	QueueName      string            `json:"QueueName"`
	Attributes     map[string]string `json:"Attributes"`
	AttributeNames []string          `json:"AttributeNames"`
}

func (s *Sim) urlOf(r request, name string) string {
	return r.baseURL + "/" + s.cfg.Account + "/" + name
}

func (s *Sim) createQueue(r request, in queueInput) (any, error) {
	q, err := s.queues.create(in.QueueName, in.Attributes)
	if err != nil {
		return nil, err
	}
	return map[string]string{"QueueUrl": s.urlOf(r, q.name)}, nil
}

func (s *Sim) getQueueURL(r request, in queueInput) (any, error) {
	q, err := s.queues.named(in.QueueName)
	if err != nil {
		return nil, err
	}
	return map[string]string{"QueueUrl": s.urlOf(r, q.name)}, nil
}

type listQueuesInput struct {
	QueueNamePrefix string `json:"QueueNamePrefix"`
	MaxResults      *int   `json:"MaxResults"`
	NextToken       string `json:"NextToken"`
}

// maxQueues is the most queues that one ListQueues answers.
const maxQueues = 1000

func (s *Sim) listQueues(r request, in listQueuesInput) (any, error) {
	names := s.queues.names(in.QueueNamePrefix)
	at, _ := slices.BinarySearch(names, in.NextToken)
	names = names[at:]
	most := maxQueues
	if in.MaxResults != nil {
		most = *in.MaxResults
	}
	if most < 1 || most > maxQueues {
		return nil, sqsInvalid("MaxResults must be between 1 and %d.", maxQueues)
	}
	out := map[string]any{}
	if len(names) > most {
		out["NextToken"] = names[most]
		names = names[:most]
	}
	urls := []string{}
	for _, name := range names {
		urls = append(urls, s.urlOf(r, name))
	}
	out["QueueUrls"] = urls
	return out, nil
}

func (s *Sim) getQueueAttributes(_ request, q *queue, in queueInput) (any, error) {
	all := q.attributes()
	wanted := map[string]string{}
	for _, name := range in.AttributeNames {
		if name == "All" {
			maps.Copy(wanted, all)
		} else if value, ok := all[name]; ok {
			wanted[name] = value
		}
	}
	return map[string]any{"Attributes": wanted}, nil
}

func (s *Sim) setQueueAttributes(_ request, q *queue, in queueInput) (any, error) {
	if err := s.queues.checkRedrive(in.Attributes); err != nil {
		return nil, err
	}
	return struct{}{}, q.set(in.Attributes)
}

func (s *Sim) purgeQueue(_ request, q *queue, in queueInput) (any, error) {
	q.purge()
	return struct{}{}, nil
}

type sendInput struct {
	queueURL
	ID                string                      `json:"Id"` // in a batch
	MessageBody       string                      `json:"MessageBody"`
	DelaySeconds      *int                        `json:"DelaySeconds"`
	MessageAttributes map[string]messageAttribute `json:"MessageAttributes"`
}

type sent struct {
	ID                     string `json:"Id,omitempty"`
	MessageID              string `json:"MessageId"`
	MD5OfMessageBody       string `json:"MD5OfMessageBody"`
	MD5OfMessageAttributes string `json:"MD5OfMessageAttributes,omitempty"`
}

func (s *Sim) sendMessage(_ request, q *queue, in sendInput) (any, error) {
	return in.sendTo(q)
}

func (in sendInput) sendTo(q *queue) (sent, error) {
	if in.MessageBody == "" {
		return sent{}, &apiError{code: "MissingParameter", query: "MissingParameter", message: "The request must contain the parameter MessageBody."}
	}
	if most := q.maxSize(); in.size() > most {
		return sent{}, sqsInvalid("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", most)
	}
	if !validText(in.MessageBody) {
		return sent{}, &apiError{code: "InvalidMessageContents", query: "InvalidMessageContents", message: "Invalid characters found in the message."}
	}
	if len(in.MessageAttributes) > 10 {
		return sent{}, sqsInvalid("Number of message attributes [%d] exceeds the allowed maximum [10].", len(in.MessageAttributes))
	}
	delay := time.Duration(-1)
	if in.DelaySeconds != nil {
		delay = time.Duration(*in.DelaySeconds) * time.Second
		if *in.DelaySeconds < 0 || *in.DelaySeconds > 900 {
			return sent{}, sqsInvalid("Value %d for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.", *in.DelaySeconds)
		}
	}
	m := newMessage(in.MessageBody, in.MessageAttributes)
	q.put(m, delay)
	return sent{in.ID, m.id, m.md5, attributesMD5(m.attributes)}, nil
}

// size is what SQS counts: the body and the attributes, in bytes.
func (in sendInput) size() int {
	n := len(in.MessageBody)
	for name, a := range in.MessageAttributes {
		n += len(name) + len(a.DataType) + len(a.StringValue) + len(a.BinaryValue)
	}
	return n
}

// validText tells whether SQS takes the characters: those of XML 1.0.
func validText(text string) bool {
	bad := func(r rune) bool {
		return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
	}
	return utf8.ValidString(text) && !strings.ContainsFunc(text, bad)
}

type batchInput[Entry any] struct {
	queueURL
	Entries []Entry `json:"Entries"`
}

type batchFailure struct {
	ID          string `json:"Id"`
	Code        string `json:"Code"`
	Message     string `json:"Message"`
	SenderFault bool   `json:"SenderFault"`
}

// maxBatch is the most entries of a batch, and the most messages of a receive.
const maxBatch = 10

// batch does each entry for itself, and answers with those that were done and those that were not.
func batch[Entry, Done any](entries []Entry, id func(Entry) string, do func(Entry) (Done, error)) (any, error) {
	if len(entries) == 0 {
		return nil, &apiError{code: "EmptyBatchRequest", query: "AWS.SimpleQueueService.EmptyBatchRequest",
			message: "There should be at least one entry in the request."}
	}
	if len(entries) > maxBatch {
		return nil, &apiError{code: "TooManyEntriesInBatchRequest", query: "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
			message: "Maximum number of entries per request are 10. You have sent " + strconv.Itoa(len(entries)) + "."}
	}
	seen := map[string]bool{}
	for _, entry := range entries {
		if !queueName.MatchString(id(entry)) {
			return nil, &apiError{code: "InvalidBatchEntryId", query: "AWS.SimpleQueueService.InvalidBatchEntryId",
				message: "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long."}
		}
		if seen[id(entry)] {
			return nil, &apiError{code: "BatchEntryIdsNotDistinct", query: "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
				message: "Id " + id(entry) + " repeated."}
		}
		seen[id(entry)] = true
	}
	successful, failed := []Done{}, []batchFailure{}
	for _, entry := range entries {
		if done, err := do(entry); err != nil {
			_, message, _ := strings.Cut(err.Error(), ": ")
			failed = append(failed, batchFailure{ID: id(entry), Code: outcome(err), Message: message, SenderFault: true})
		} else {
			successful = append(successful, done)
		}
	}
	return map[string]any{"Successful": successful, "Failed": failed}, nil
}

func (s *Sim) sendMessageBatch(_ request, q *queue, in batchInput[sendInput]) (any, error) {
	total := 0
	for _, entry := range in.Entries {
		total += entry.size()
	}
	if total > maxMessage {
		return nil, &apiError{code: "BatchRequestTooLong", query: "AWS.SimpleQueueService.BatchRequestTooLong",
			message: "Batch requests cannot be longer than " + strconv.Itoa(maxMessage) + " bytes."}
	}
	return batch(in.Entries, func(e sendInput) string { return e.ID }, func(e sendInput) (sent, error) { return e.sendTo(q) })
}

type receiveInput struct {
	queueURL
	MaxNumberOfMessages         *int     `json:"MaxNumberOfMessages"`
	VisibilityTimeout           *int     `json:"VisibilityTimeout"`
	WaitTimeSeconds             *int     `json:"WaitTimeSeconds"`
	AttributeNames              []string `json:"AttributeNames"`
	MessageSystemAttributeNames []string `json:"MessageSystemAttributeNames"`
	MessageAttributeNames       []string `json:"MessageAttributeNames"`
}

type receivedShape struct {
	MessageID              string                      `json:"MessageId"`
	ReceiptHandle          string                      `json:"ReceiptHandle"`
	MD5OfBody              string                      `json:"MD5OfBody"`
	Body                   string                      `json:"Body"`
	Attributes             map[string]string           `json:"Attributes,omitempty"`
	MD5OfMessageAttributes string                      `json:"MD5OfMessageAttributes,omitempty"`
	MessageAttributes      map[string]messageAttribute `json:"MessageAttributes,omitempty"`
}

func (s *Sim) receiveMessage(r request, q *queue, in receiveInput) (any, error) {
	most := 1
	if in.MaxNumberOfMessages != nil {
		most = *in.MaxNumberOfMessages
	}
	wait, visibility := q.waitTime(), time.Duration(-1)
	if in.WaitTimeSeconds != nil {
		wait = time.Duration(*in.WaitTimeSeconds) * time.Second
	}
	if in.VisibilityTimeout != nil {
		visibility = time.Duration(*in.VisibilityTimeout) * time.Second
	}
	switch {
	case most < 1 || most > maxBatch:
		return nil, sqsInvalid("Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.", most)
	case wait < 0 || wait > 20*time.Second:
		return nil, sqsInvalid("Value %d for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.", *in.WaitTimeSeconds)
	case in.VisibilityTimeout != nil && !visibilityInRange(*in.VisibilityTimeout):
		return nil, errVisibility(*in.VisibilityTimeout)
	}
	got, dead, err := q.receive(r.ctx, most, visibility, wait, r.interrupted)
	if err != nil {
		return nil, err
	}
	s.moveToDeadLetterQueue(q, dead)
	if len(got) == 0 && s.isDown(serviceSQS) {
		return nil, errUnavailable // it went down during the long poll
	}
	var out struct {
		Messages []receivedShape `json:"Messages,omitempty"` // none are left out, as in SQS
	}
	for _, m := range got {
		out.Messages = append(out.Messages, in.show(m))
	}
	return out, nil
}

// moveToDeadLetterQueue moves messages that were received too often into the dead-letter queue.
func (s *Sim) moveToDeadLetterQueue(q *queue, dead []*message) {
	if len(dead) == 0 {
		return
	}
	to := s.queues.byARN(q.deadLetters())
	if to == nil {
		to = q // the policy was taken away meanwhile
	}
	for _, m := range dead {
		moved := newMessage(m.body, m.attributes)
		moved.id, moved.sentAt = m.id, m.sentAt
		to.put(moved, 0)
	}
}

func (in receiveInput) show(m received) receivedShape {
	shape := receivedShape{MessageID: m.id, ReceiptHandle: m.handle, MD5OfBody: m.md5, Body: m.body, Attributes: map[string]string{}}
	all := map[string]string{
		"SenderId": "AIDASIMULATED", "ApproximateReceiveCount": strconv.Itoa(m.receives),
		"SentTimestamp": strconv.FormatInt(m.sentAt.UnixMilli(), 10), "ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.first.UnixMilli(), 10),
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

type handleInput struct {
	queueURL
	ID                string `json:"Id"` // in a batch
	ReceiptHandle     string `json:"ReceiptHandle"`
	VisibilityTimeout *int   `json:"VisibilityTimeout"`
}

type doneID struct {
	ID string `json:"Id"`
}

func (s *Sim) deleteMessage(_ request, q *queue, in handleInput) (any, error) {
	return struct{}{}, q.remove(in.ReceiptHandle)
}

func (s *Sim) deleteMessageBatch(_ request, q *queue, in batchInput[handleInput]) (any, error) {
	return batch(in.Entries, handleInput.id, func(e handleInput) (doneID, error) { return doneID{e.ID}, q.remove(e.ReceiptHandle) })
}

func (in handleInput) id() string { return in.ID }

func (s *Sim) changeMessageVisibility(_ request, q *queue, in handleInput) (any, error) {
	return struct{}{}, in.hideIn(q)
}

func (s *Sim) changeMessageVisibilityBatch(_ request, q *queue, in batchInput[handleInput]) (any, error) {
	return batch(in.Entries, handleInput.id, func(e handleInput) (doneID, error) { return doneID{e.ID}, e.hideIn(q) })
}

func (in handleInput) hideIn(q *queue) error {
	if in.VisibilityTimeout == nil {
		return &apiError{code: "MissingParameter", query: "MissingParameter", message: "The request must contain the parameter VisibilityTimeout."}
	}
	if !visibilityInRange(*in.VisibilityTimeout) {
		return errVisibility(*in.VisibilityTimeout)
	}
	return q.hide(in.ReceiptHandle, time.Duration(*in.VisibilityTimeout)*time.Second)
}

func visibilityInRange(seconds int) bool { return seconds >= 0 && seconds <= 43_200 }

func errVisibility(seconds int) error {
	return sqsInvalid("Value %d for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200.", seconds)
}
