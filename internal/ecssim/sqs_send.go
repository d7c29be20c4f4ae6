package ecssim

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

type sendInput struct {
	queueURL
	ID                string                      `json:"Id"` // in a batch
	MessageBody       string                      `json:"MessageBody"`
	DelaySeconds      *int                        `json:"DelaySeconds"`
	MessageAttributes map[string]messageAttribute `json:"MessageAttributes"`
}

type sendResult struct {
	ID                     string `json:"Id,omitempty"`
	MessageID              string `json:"MessageId"`
	MD5OfMessageBody       string `json:"MD5OfMessageBody"`
	MD5OfMessageAttributes string `json:"MD5OfMessageAttributes,omitempty"`
}

func (s *Sim) sendMessage(_ request, q *queue, in sendInput) (any, error) {
	return in.sendTo(q)
}

func (in sendInput) sendTo(q *queue) (sendResult, error) {
	if in.MessageBody == "" {
		return sendResult{}, &apiError{
			code: "MissingParameter", query: "MissingParameter", message: "The request must contain the parameter MessageBody.",
		}
	}
	if most := q.maxSize(); in.size() > most {
		return sendResult{}, sqsInvalid(
			"One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", most,
		)
	}
	if !validText(in.MessageBody) {
		return sendResult{}, &apiError{
			code: "InvalidMessageContents", query: "InvalidMessageContents", message: "Invalid characters found in the message.",
		}
	}
	if len(in.MessageAttributes) > 10 {
		return sendResult{}, sqsInvalid(
			"Number of message attributes [%d] exceeds the allowed maximum [10].", len(in.MessageAttributes),
		)
	}
	delay := time.Duration(-1)
	if in.DelaySeconds != nil {
		delay = time.Duration(*in.DelaySeconds) * time.Second
		if *in.DelaySeconds < 0 || *in.DelaySeconds > 900 {
			return sendResult{}, sqsInvalid(
				"Value %d for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.", *in.DelaySeconds,
			)
		}
	}
	m := newMessage(in.MessageBody, in.MessageAttributes)
	q.put(m, delay)
	return sendResult{in.ID, m.id, m.md5, attributesMD5(m.attributes)}, nil
}

// size returns the size that SQS limits: body and attributes, in bytes.
func (in sendInput) size() int {
	n := len(in.MessageBody)
	for name, a := range in.MessageAttributes {
		n += len(name) + len(a.DataType) + len(a.StringValue) + len(a.BinaryValue)
	}
	return n
}

// validText reports whether SQS accepts the characters: those of XML 1.0.
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

// maxBatch is the most entries of a batch and the most messages of a receive.
const maxBatch = 10

// runBatch applies do to each entry and reports successes and failures separately.
func runBatch[Entry, Done any](entries []Entry, id func(Entry) string, do func(Entry) (Done, error)) (any, error) {
	if len(entries) == 0 {
		return nil, &apiError{code: "EmptyBatchRequest", query: "AWS.SimpleQueueService.EmptyBatchRequest",
			message: "There should be at least one entry in the request."}
	}
	if len(entries) > maxBatch {
		return nil, &apiError{code: "TooManyEntriesInBatchRequest",
			query:   "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
			message: "Maximum number of entries per request are 10. You have sent " + strconv.Itoa(len(entries)) + "."}
	}
	seen := map[string]bool{}
	for _, entry := range entries {
		if !queueName.MatchString(id(entry)) {
			return nil, &apiError{code: "InvalidBatchEntryId", query: "AWS.SimpleQueueService.InvalidBatchEntryId",
				message: "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most " +
					"80 letters long."}
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
	return runBatch(in.Entries, func(e sendInput) string { return e.ID }, func(e sendInput) (sendResult, error) {
		return e.sendTo(q)
	})
}
