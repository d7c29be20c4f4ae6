package ecssim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Acknowledged is an event that a consumer deleted from the event queue.
type Acknowledged struct {
	Number  int       `json:"number"`  // from 1, in the order of deletion
	ARN     string    `json:"arn"`     // of the task or container instance
	Version int64     `json:"version"` // detail.version
	Time    time.Time `json:"time"`    // of the event
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
	first, bodies := s.events.acknowledged.after(after)
	all := make([]Acknowledged, 0, len(bodies))
	for n, body := range bodies {
		var event struct {
			Resources []string
			Time      time.Time
			Detail    struct{ Version int64 }
		}
		if json.Unmarshal([]byte(body), &event) == nil && len(event.Resources) == 1 {
			all = append(all, Acknowledged{first + n, event.Resources[0], event.Detail.Version, event.Time})
		}
	}
	return all
}
