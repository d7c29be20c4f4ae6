package ecssim

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// envelope is an event as EventBridge puts it into a queue.
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

// EventCounters count events by what happened to them on their way.
type EventCounters struct {
	Emitted    int `json:"emitted"` // changes that made an event
	Sent       int `json:"sent"`    // messages put into the queue (and the stream), second copies included
	Dropped    int `json:"dropped"`
	Duplicated int `json:"duplicated"`
	Reordered  int `json:"reordered"` // held back until a later one had been sent
	Delayed    int `json:"delayed"`
}

// overtakeLimit is how long a reordered event waits for one that overtakes it.
const overtakeLimit = 250 * time.Millisecond

// emit puts the event of a change of resource, an ARN, on its way. The detail is encoded at once, so it shows the state of now.
func (s *Sim) emit(detailType, resource string, detail any) {
	if s.closed {
		return
	}
	body, err := json.Marshal(envelope{
		Version: "0", ID: uuid.NewString(), DetailType: detailType, Source: "aws.ecs", Account: s.cfg.Account,
		Time: now().Format("2006-01-02T15:04:05Z"), Region: s.cfg.Region, Resources: []string{resource}, Detail: detail,
	})
	if err != nil {
		panic(err) // the shapes are this package's own
	}
	faults, count := s.faults.Events, &s.counters.events
	count.Emitted++
	if s.dice.roll("event", "drop", faults.Drop) {
		count.Dropped++
		return
	}
	copies, delay := 1, s.cfg.EventDelay
	if s.dice.roll("event", "duplicate", faults.Duplicate) {
		count.Duplicated++
		copies++
	}
	if s.dice.roll("event", "delay", faults.Delay) {
		count.Delayed++
		delay += time.Duration(faults.DelayBy)
	}
	send := func() {
		for range copies {
			count.Sent++
			s.events.send(string(body))
			if s.stream != nil {
				s.stream.put(resource, nil, body)
			}
		}
	}
	if s.dice.roll("event", "reorder", faults.Reorder) {
		count.Reordered++
		s.holdBack(send, delay)
		return
	}
	s.afterDelay(delay, func() {
		send()
		s.releaseHeld()
	})
}

// afterDelay is later, but at once for no delay: an event is in the queue before the call that caused it is answered.
func (s *Sim) afterDelay(d time.Duration, do func()) {
	if d <= 0 {
		do()
		return
	}
	s.schedule(d, do)
}

// holdBack keeps an event until another one has been sent, or until nobody can be expected to overtake it.
func (s *Sim) holdBack(send func(), delay time.Duration) {
	sent := false
	once := func() {
		if !sent {
			sent = true
			send()
		}
	}
	s.held = append(s.held, once)
	s.schedule(delay+overtakeLimit, once)
}

func (s *Sim) releaseHeld() {
	held := s.held
	s.held = nil
	for _, send := range held {
		send()
	}
}
