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

// maxInFlight is SQS's limit on messages in flight: received and not yet deleted.
const maxInFlight = 120_000

// message is a message of a queue.
type message struct {
	id, body, md5 string
	attributes    map[string]messageAttribute
	sentAt        time.Time
	firstReceived time.Time
	receives      int
	visibleAt     time.Time
	heapIndex     int // index in queue.invisible, or -1
	deleted       bool
}

// queue is a standard SQS queue. A list holds the visible messages and a heap the invisible ones, sorted by the time
// they become visible. So no call scans all messages.
type queue struct {
	name, arn string

	mu           sync.Mutex
	settings     settings
	visible      []*message // from firstVisible on; may hold deleted messages
	firstVisible int
	invisible    invisibleMessages
	byID         map[string]*message
	inFlight     int
	arrived      chan struct{} // closed and replaced when messages arrive
	created      time.Time
	modified     time.Time

	acknowledged *recent[string] // bodies of deleted events; nil without Config.Acknowledged; constant
}

type invisibleMessages []*message

func (h invisibleMessages) Len() int           { return len(h) }
func (h invisibleMessages) Less(i, j int) bool { return h[i].visibleAt.Before(h[j].visibleAt) }
func (h invisibleMessages) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapIndex, h[j].heapIndex = i, j
}
func (h *invisibleMessages) Push(x any) {
	m := x.(*message)
	m.heapIndex = len(*h)
	*h = append(*h, m)
}
func (h *invisibleMessages) Pop() any {
	last := len(*h) - 1
	m := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	m.heapIndex = -1
	return m
}

func newQueue(name, arn string) *queue {
	return &queue{
		name: name, arn: arn, settings: defaultSettings(), byID: map[string]*message{}, arrived: make(chan struct{}),
		created: now(), modified: now(),
	}
}

func newMessage(body string, attributes map[string]messageAttribute) *message {
	sum := md5.Sum([]byte(body))
	return &message{
		id: uuid.NewString(), body: body, md5: hex.EncodeToString(sum[:]), attributes: attributes, sentAt: now(),
		heapIndex: -1,
	}
}

// send adds a message without attributes.
func (q *queue) send(body string) { q.put(newMessage(body, nil), -1) }

// put adds a message that becomes visible after the delay; a negative delay means the queue's default.
func (q *queue) put(m *message, delay time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if delay < 0 {
		delay = q.settings.delay
	}
	q.byID[m.id] = m
	q.enqueue(m, delay)
}

// enqueue makes a message visible, now or later.
func (q *queue) enqueue(m *message, after time.Duration) {
	if after > 0 {
		m.visibleAt = time.Now().Add(after)
		heap.Push(&q.invisible, m)
	} else {
		q.visible = append(q.visible, m)
	}
	q.notifyReceivers() // receivers also wait for the next timeout
}

func (q *queue) notifyReceivers() {
	close(q.arrived)
	q.arrived = make(chan struct{})
}

// receivedMessage is one receipt of a message.
type receivedMessage struct {
	*message
	receiptHandle string
	receives      int
	first         time.Time
}

// receive returns up to limit messages and hides them for the visibility timeout; a negative timeout means the queue's
// default. It waits for the first message until wait has passed, ctx ends or interrupted is closed. It also returns the
// messages to move to the dead-letter queue: those already received maxReceives times.
func (q *queue) receive(
	ctx context.Context, limit int, visibility, wait time.Duration, interrupted <-chan struct{},
) ([]receivedMessage, []*message, error) {
	deadline := time.Now().Add(wait)
	for {
		q.mu.Lock()
		got, dead, err := q.tryReceive(limit, visibility)
		arrived, next := q.arrived, time.Until(deadline)
		if len(q.invisible) > 0 {
			next = min(next, max(0, time.Until(q.invisible[0].visibleAt))+time.Millisecond)
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

func (q *queue) tryReceive(limit int, visibility time.Duration) (got []receivedMessage, dead []*message, err error) {
	q.expireTimeouts()
	if visibility < 0 {
		visibility = q.settings.visibility
	}
	for len(got) < limit && q.firstVisible < len(q.visible) {
		if q.inFlight >= maxInFlight {
			if len(got)+len(dead) > 0 {
				return got, dead, nil
			}
			return nil, nil, &apiError{code: "OverLimit", query: "OverLimit", message: "Too many messages are in flight."}
		}
		m := q.visible[q.firstVisible]
		q.visible[q.firstVisible] = nil
		q.firstVisible++
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
		got = append(got, receivedMessage{m, receiptHandle(m), m.receives, m.firstReceived})
		if visibility > 0 {
			q.inFlight++
			m.visibleAt = time.Now().Add(visibility)
			heap.Push(&q.invisible, m)
		}
	}
	if visibility <= 0 { // after the loop: one call returns a message once
		for _, r := range got {
			q.visible = append(q.visible, r.message)
		}
	}
	if q.firstVisible > 1024 && q.firstVisible > len(q.visible)/2 {
		q.visible = append(q.visible[:0:0], q.visible[q.firstVisible:]...)
		q.firstVisible = 0
	}
	return got, dead, nil
}

// expireTimeouts makes messages visible whose delay or visibility timeout has ended.
func (q *queue) expireTimeouts() {
	for len(q.invisible) > 0 && time.Until(q.invisible[0].visibleAt) <= 0 {
		m := heap.Pop(&q.invisible).(*message)
		if m.receives > 0 {
			q.inFlight--
		}
		q.visible = append(q.visible, m)
	}
}

// receiptHandle returns the handle of the latest receipt of a message.
func receiptHandle(m *message) string {
	return base64.StdEncoding.EncodeToString([]byte(m.id + " " + strconv.Itoa(m.receives)))
}

// byReceiptHandle returns the message of a receipt handle. It returns nil if the message was deleted or received again.
func (q *queue) byReceiptHandle(handle string) (*message, error) {
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
	m, err := q.byReceiptHandle(handle)
	if m == nil {
		return err
	}
	delete(q.byID, m.id)
	m.deleted = true
	q.acknowledged.add(m.body)
	if m.heapIndex >= 0 {
		heap.Remove(&q.invisible, m.heapIndex)
		q.inFlight--
	}
	return nil
}

// changeVisibility sets how long from now a message stays in flight; 0 makes it visible immediately.
func (q *queue) changeVisibility(handle string, visibility time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.expireTimeouts()
	m, err := q.byReceiptHandle(handle)
	if err != nil {
		return err
	}
	if m == nil || m.heapIndex < 0 {
		return &apiError{code: "MessageNotInflight", query: "AWS.SimpleQueueService.MessageNotInflight",
			message: "The message referred to is not in flight."}
	}
	heap.Remove(&q.invisible, m.heapIndex)
	if visibility <= 0 {
		q.inFlight--
	}
	q.enqueue(m, visibility)
	return nil
}

// purge deletes all messages.
func (q *queue) purge() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.visible, q.firstVisible, q.invisible, q.inFlight = nil, 0, nil, 0
	clear(q.byID)
}

// counts returns the numbers of visible, in-flight and delayed messages.
func (q *queue) counts() (visible, inFlight, delayed int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.expireTimeouts()
	delayed = len(q.invisible) - q.inFlight
	return len(q.byID) - len(q.invisible), q.inFlight, delayed
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

func (q *queue) deadLetterARN() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.settings.deadLetterARN
}
