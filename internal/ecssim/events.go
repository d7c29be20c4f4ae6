package ecssim

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// envelope is an EventBridge event as it arrives in a queue.
type envelope struct {
	Version    string   `json:"version"`
	ID         string   `json:"id"`
	DetailType string   `json:"detail-type"`
	Source     string   `json:"source"`
	Account    string   `json:"account"`
	Time       string   `json:"time"`
	Region     string   `json:"region"`
	Resources  []string `json:"resources"`
	Detail     any      `json:"detail"`
}

// EventCounters counts events by what happened to them.
type EventCounters struct {
	Emitted    int `json:"emitted"` // changes
	Sent       int `json:"sent"`    // messages sent to the queue, including duplicates
	Dropped    int `json:"dropped"`
	Duplicated int `json:"duplicated"`
	Reordered  int `json:"reordered"` // sent after a later event
	Delayed    int `json:"delayed"`
	// Failed counts attempts of EventBridge to deliver an event that failed; it retries them. Of the events that it gave
	// up, DeadLettered went to the dead-letter queue and Undelivered were lost.
	Failed       int `json:"failed"`
	DeadLettered int `json:"deadLettered"`
	Undelivered  int `json:"undelivered"`
}

// maxReorderDelay limits how long a reordered event waits for a later one.
const maxReorderDelay = 250 * time.Millisecond

// emit sends the event of a change of resource, an ARN. It encodes the detail immediately, so the event shows the
// present state.
func (s *Sim) emit(detailType, resource string, detail any) {
	if s.closed {
		return
	}
	body, err := json.Marshal(envelope{
		Version: "0", ID: uuid.NewString(), DetailType: detailType, Source: "aws.ecs", Account: s.cfg.Account,
		Time: now().Format("2006-01-02T15:04:05Z"), Region: s.cfg.Region, Resources: []string{resource}, Detail: detail,
	})
	if err != nil {
		panic(err) // every detail is encodable
	}
	faults, count := s.faults.Events, &s.counters.events
	count.Emitted++
	if s.draws.hit("event", "drop", faults.Drop) {
		count.Dropped++
		return
	}
	copies, delay := 1, s.cfg.EventDelay
	if s.draws.hit("event", "duplicate", faults.Duplicate) {
		count.Duplicated++
		copies++
	}
	if s.draws.hit("event", "delay", faults.Delay) {
		count.Delayed++
		delay += time.Duration(faults.DelayBy)
	}
	send := func() {
		for range copies {
			s.deliver(delivery{target: targetQueue, resource: resource, body: body, since: time.Now()})
			if s.stream != nil {
				s.deliver(delivery{target: targetStream, resource: resource, body: body, since: time.Now()})
			}
		}
	}
	if s.draws.hit("event", "reorder", faults.Reorder) {
		count.Reordered++
		s.holdBack(send, delay)
		return
	}
	s.afterDelay(delay, func() {
		send()
		s.releaseHeld()
	})
}

// afterDelay is like schedule, but runs do immediately if d is 0: an event is in the queue before the caller gets its
// response.
func (s *Sim) afterDelay(d time.Duration, do func()) {
	if d <= 0 {
		do()
		return
	}
	s.schedule(d, do)
}

// holdBack delays an event until a later one has been sent, or for delay plus maxReorderDelay.
func (s *Sim) holdBack(send func(), delay time.Duration) {
	sent := false
	once := func() {
		if !sent {
			sent = true
			send()
		}
	}
	s.heldEvents = append(s.heldEvents, once)
	s.schedule(delay+maxReorderDelay, once)
}

func (s *Sim) releaseHeld() {
	held := s.heldEvents
	s.heldEvents = nil
	for _, send := range held {
		send()
	}
}
