package ecssim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
)

// Acknowledged is an event that a consumer deleted from the event queue.
type Acknowledged struct {
	Number  int    `json:"number"`  // from 1, in the order of deletion
	ARN     string `json:"arn"`     // of the task or container instance
	Version int64  `json:"version"` // detail.version
}

// acknowledgements holds the latest deleted events: at least limit, at most twice as many.
type acknowledgements struct {
	mu     sync.Mutex
	limit  int
	number int // of the latest event
	bodies []string
}

func (a *acknowledgements) add(body string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.number++
	if a.bodies = append(a.bodies, body); len(a.bodies) > 2*a.limit {
		a.bodies = append(a.bodies[:0:0], a.bodies[len(a.bodies)-a.limit:]...)
	}
}

// after returns the events with a higher number.
func (a *acknowledgements) after(number int) []Acknowledged {
	a.mu.Lock()
	first := a.number - len(a.bodies) + 1
	from := min(max(0, number+1-first), len(a.bodies))
	first += from
	bodies := append([]string{}, a.bodies[from:]...)
	a.mu.Unlock()
	all := make([]Acknowledged, 0, len(bodies))
	for n, body := range bodies {
		var event struct {
			Resources []string
			Detail    struct{ Version int64 }
		}
		if json.Unmarshal([]byte(body), &event) == nil && len(event.Resources) == 1 {
			all = append(all, Acknowledged{first + n, event.Resources[0], event.Detail.Version})
		}
	}
	return all
}

func (s *Sim) getAcknowledged(q url.Values, _ *http.Request) (any, error) {
	number, err := parseInt(q, "after", 0, 0, 1<<40)
	if err != nil {
		return nil, err
	}
	return map[string][]Acknowledged{"events": s.Acknowledged(number)}, nil
}

// Acknowledged returns the events deleted after the one with the given number, oldest first. The simulator forgets
// events older than the latest Config.Acknowledged.
func (s *Sim) Acknowledged(after int) []Acknowledged {
	if s.events.acknowledged == nil {
		return []Acknowledged{}
	}
	return s.events.acknowledged.after(after)
}
