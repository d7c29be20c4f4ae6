package ecssim

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// Change is a change of a task or of a container instance, or a start that ECS refused. One of the three is set.
type Change struct {
	Number   int           `json:"number"` // from 1, in the order of the changes
	At       time.Time     `json:"at"`
	Task     *Task         `json:"task,omitempty"`     // after the change
	Instance *Instance     `json:"instance,omitempty"` // after the change
	Refusal  *StartRefusal `json:"refusal,omitempty"`
}

// StartRefusal is an instance on which a StartTask started no task.
type StartRefusal struct {
	StartedBy   string `json:"startedBy"`
	InstanceARN string `json:"instanceArn"` // as the call named it
	Reason      string `json:"reason"`      // of the failure, or the code of the call's error
}

// logTask adds a task to the changes.
func (s *Sim) logTask(t *task) {
	if s.changes != nil {
		snapshot := t.snapshot()
		s.changes.add(Change{At: now(), Task: &snapshot})
	}
}

// logInstance adds a container instance to the changes.
func (s *Sim) logInstance(i *instance) {
	if s.changes != nil {
		snapshot := i.snapshot()
		s.changes.add(Change{At: now(), Instance: &snapshot})
	}
}

// logRefusal adds a start on an instance that ECS refused.
func (s *Sim) logRefusal(startedBy string, f failure) {
	s.changes.add(Change{At: now(), Refusal: &StartRefusal{startedBy, f.ARN, f.Reason}})
}

// logFailedCall adds the instances of a StartTask that failed to the changes. A lost response is no failure: ECS
// executed the call.
func (s *Sim) logFailedCall(action string, body []byte, err error) {
	var failed *apiError
	var in struct {
		StartedBy          string
		ContainerInstances []string
	}
	if action != "StartTask" || !errors.As(err, &failed) || json.Unmarshal(body, &in) != nil {
		return
	}
	for _, instance := range in.ContainerInstances {
		s.logRefusal(in.StartedBy, failure{ARN: instance, Reason: failed.code})
	}
}

// Changes returns the changes after the one with the given number, oldest first. The simulator forgets changes older
// than the latest Config.Changes.
func (s *Sim) Changes(after int) []Change {
	first, changes := s.changes.after(after)
	for n := range changes {
		changes[n].Number = first + n
	}
	return changes
}

func (s *Sim) getChanges(q url.Values, _ *http.Request) (any, error) {
	number, err := parseInt(q, "after", 0, 0, 1<<40)
	if err != nil {
		return nil, err
	}
	return map[string][]Change{"changes": append([]Change{}, s.Changes(number)...)}, nil
}
