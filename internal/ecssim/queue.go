package ecssim

import (
	"container/heap"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// maxInFlight is SQS's bound on the messages that are received and not yet deleted.
const maxInFlight = 120_000

// message is one message of a queue.
type message struct {
	id, body, md5 string
	attributes    map[string]messageAttribute
	sentAt        time.Time
	firstReceived time.Time
	receives      int
	visibleAt     time.Time
	at            int // its place among the queue's hidden messages, or -1
	deleted       bool
}

// queue is a standard SQS queue. Messages that can be received stand in a line; those that are in flight or delayed in
// a heap, by the time at which they can be received (again). So no call looks at all messages.
type queue struct {
	name, arn string

	mu       sync.Mutex
	settings settings
	line     []*message // from first on; those deleted meanwhile are skipped
	first    int
	hidden   inFlightMessages
	byID     map[string]*message
	inFlight int
	arrived  chan struct{} // closed, and made anew, when messages can be received
	created  time.Time
	modified time.Time

	acknowledged *acknowledgements // nil unless they are wanted; does not change
}

type inFlightMessages []*message

func (h inFlightMessages) Len() int           { return len(h) }
func (h inFlightMessages) Less(i, j int) bool { return h[i].visibleAt.Before(h[j].visibleAt) }
func (h inFlightMessages) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}
func (h *inFlightMessages) Push(x any) {
	m := x.(*message)
	m.at = len(*h)
	*h = append(*h, m)
}
func (h *inFlightMessages) Pop() any {
	last := len(*h) - 1
	m := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	m.at = -1
	return m
}

func newQueue(name, arn string) *queue {
	return &queue{
		name: name, arn: arn, settings: defaultSettings(), byID: map[string]*message{}, arrived: make(chan struct{}), created: now(), modified: now(),
	}
}

func newMessage(body string, attributes map[string]messageAttribute) *message {
	sum := md5.Sum([]byte(body))
	return &message{id: uuid.NewString(), body: body, md5: hex.EncodeToString(sum[:]), attributes: attributes, sentAt: now(), at: -1}
}

// send puts a message without attributes into the queue.
func (q *queue) send(body string) { q.put(newMessage(body, nil), -1) }

// put adds a message, hidden for the delay; a negative delay takes the queue's.
func (q *queue) put(m *message, delay time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if delay < 0 {
		delay = q.settings.delay
	}
	q.byID[m.id] = m
	q.show(m, delay)
}

// show makes a message receivable, at once or later.
func (q *queue) show(m *message, after time.Duration) {
	if after > 0 {
		m.visibleAt = time.Now().Add(after)
		heap.Push(&q.hidden, m)
	} else {
		q.line = append(q.line, m)
	}
	q.wake() // pollers also have to know of the new time
}

func (q *queue) wake() {
	close(q.arrived)
	q.arrived = make(chan struct{})
}

// received is a message as one receive gives it.
type received struct {
	*message
	handle   string
	receives int
	first    time.Time
}

// receive takes up to most messages and hides them for the visibility time; the queue's own when that is negative. It waits
// for the first message until wait is over, ctx ends, or interrupted is closed. Messages that were received
// too often already are returned apart: they belong in the dead-letter queue.
func (q *queue) receive(ctx context.Context, most int, visibility, wait time.Duration, interrupted <-chan struct{}) ([]received, []*message, error) {
	deadline := time.Now().Add(wait)
	for {
		q.mu.Lock()
		got, dead, err := q.take(most, visibility)
		arrived, next := q.arrived, time.Until(deadline)
		if len(q.hidden) > 0 {
			next = min(next, max(0, time.Until(q.hidden[0].visibleAt))+time.Millisecond)
		}
		q.mu.Unlock()
		if err != nil || len(got)+len(dead) > 0 || time.Until(deadline) <= 0 {
			return got, dead, err
		}
		timer := time.NewTimer(next)
		select {
		case <-arrived:
		case <-timer.C:
		case <-interrupted:
			deadline = time.Now()
		case <-ctx.Done():
			timer.Stop()
			return nil, nil, nil
		}
		timer.Stop()
	}
}

func (q *queue) take(most int, visibility time.Duration) (got []received, dead []*message, err error) {
	q.reveal()
	if visibility < 0 {
		visibility = q.settings.visibility
	}
	for len(got) < most && q.first < len(q.line) {
		if q.inFlight >= maxInFlight {
			if len(got)+len(dead) > 0 {
				return got, dead, nil
			}
			return nil, nil, &apiError{code: "OverLimit", query: "OverLimit", message: "Too many messages are in flight."}
		}
		m := q.line[q.first]
		q.line[q.first] = nil
		q.first++
		switch {
		case m.deleted:
			continue
		case time.Since(m.sentAt) > q.settings.retention:
			delete(q.byID, m.id)
			continue
		case q.settings.deadLetterARN != "" && m.receives >= q.settings.maxReceives:
			delete(q.byID, m.id)
			dead = append(dead, m)
			continue
		}
		m.receives++
		if m.firstReceived.IsZero() {
			m.firstReceived = now()
		}
		got = append(got, received{m, handle(m), m.receives, m.firstReceived})
		if visibility > 0 {
			q.inFlight++
			m.visibleAt = time.Now().Add(visibility)
			heap.Push(&q.hidden, m)
		}
	}
	if visibility <= 0 { // not sooner, for one call does not give a message twice
		for _, r := range got {
			q.line = append(q.line, r.message)
		}
	}
	if q.first > 1024 && q.first > len(q.line)/2 {
		q.line = append(q.line[:0:0], q.line[q.first:]...)
		q.first = 0
	}
	return got, dead, nil
}

// reveal lines up the messages whose hidden time is over.
func (q *queue) reveal() {
	for len(q.hidden) > 0 && time.Until(q.hidden[0].visibleAt) <= 0 {
		m := heap.Pop(&q.hidden).(*message)
		if m.receives > 0 {
			q.inFlight--
		}
		q.line = append(q.line, m)
	}
}

// handle names one receive of a message.
func handle(m *message) string {
	return base64.StdEncoding.EncodeToString([]byte(m.id + " " + strconv.Itoa(m.receives)))
}

// held finds the message of a receipt handle; nil when it is gone, or was received again since.
func (q *queue) held(handle string) (*message, error) {
	text, err := base64.StdEncoding.DecodeString(handle)
	id, receives, ok := strings.Cut(string(text), " ")
	n, numErr := strconv.Atoi(receives)
	if err != nil || !ok || numErr != nil || uuid.Validate(id) != nil {
		return nil, &apiError{code: "ReceiptHandleIsInvalid", query: "ReceiptHandleIsInvalid",
			message: "The input receipt handle is invalid."}
	}
	if m := q.byID[id]; m != nil && m.receives == n {
		return m, nil
	}
	return nil, nil
}

// remove deletes the message of a receipt handle. As in SQS, an outdated handle is no error and deletes nothing.
func (q *queue) remove(handle string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	m, err := q.held(handle)
	if m == nil {
		return err
	}
	delete(q.byID, m.id)
	m.deleted = true
	if q.acknowledged != nil {
		q.acknowledged.note(m.body)
	}
	if m.at >= 0 {
		heap.Remove(&q.hidden, m.at)
		q.inFlight--
	}
	return nil
}

// hide changes how long from now a received message stays in flight; 0 makes it receivable again.
func (q *queue) hide(handle string, visibility time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reveal()
	m, err := q.held(handle)
	if err != nil {
		return err
	}
	if m == nil || m.at < 0 {
		return &apiError{code: "MessageNotInflight", query: "AWS.SimpleQueueService.MessageNotInflight",
			message: "The message referred to is not in flight."}
	}
	heap.Remove(&q.hidden, m.at)
	if visibility <= 0 {
		q.inFlight--
	}
	q.show(m, visibility)
	return nil
}

// purge deletes all messages.
func (q *queue) purge() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.line, q.first, q.hidden, q.inFlight = nil, 0, nil, 0
	clear(q.byID)
}

// counts are the messages that can be received, are in flight, and are delayed.
func (q *queue) counts() (visible, inFlight, delayed int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reveal()
	delayed = len(q.hidden) - q.inFlight
	return len(q.byID) - len(q.hidden), q.inFlight, delayed
}

func (q *queue) maxSize() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.settings.maxSize
}

func (q *queue) waitTime() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.settings.wait
}

func (q *queue) deadLetters() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.settings.deadLetterARN
}
