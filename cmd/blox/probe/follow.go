package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// seen is what a stream of tasks has shown.
type seen struct {
	mu      sync.Mutex
	rest    []byte // the beginning of the next line
	lines   int
	running map[string]map[string]bool // ARNs of tasks that were RUNNING, by startedBy
	err     error                      // why the stream has ended
}

// follow streams the cluster's tasks until stop is called: from a version on, or from now on without one.
func (r *run) follow(ctx context.Context, version *string) (s *seen, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	s = &seen{running: map[string]map[string]bool{}}
	heartbeat := int32(1)
	params := css.NewStreamTasksParams().WithCluster(optional(r.Cluster)).WithEntityVersion(version).WithHeartbeat(&heartbeat)
	var following sync.WaitGroup
	following.Go(func() {
		_, err := r.Clients.State.StreamTasksContext(ctx, params, s)
		if err == nil {
			err = errors.New("the stream has ended")
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.err = err
	})
	return s, func() { cancel(); following.Wait() }
}

// Write is part of io.Writer.
func (s *seen) Write(chunk []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = append(s.rest, chunk...)
	for {
		line, rest, whole := bytes.Cut(s.rest, []byte("\n"))
		if !whole {
			return len(chunk), nil
		}
		if err := s.note(line); err != nil {
			return 0, err
		}
		s.rest = rest
	}
}

func (s *seen) note(line []byte) error {
	var shown struct {
		models.Task
		Error string `json:"error"`
	}
	if err := json.Unmarshal(line, &shown); err != nil {
		return fmt.Errorf("a line of the stream is no JSON: %w", err)
	}
	if shown.Error != "" {
		return errors.New(shown.Error)
	}
	s.lines++
	if e := shown.Entity; e != nil && e.StartedBy != "" && *e.LastStatus == "RUNNING" {
		if s.running[e.StartedBy] == nil {
			s.running[e.StartedBy] = map[string]bool{}
		}
		s.running[e.StartedBy][*e.TaskARN] = true
	}
	return nil
}

// alive tells whether anything has come, which a heartbeat does after a second.
func (s *seen) alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines > 0
}

// ran tells whether the task was shown RUNNING.
func (s *seen) ran(startedBy, task string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running[startedBy][task]
}

// failure is why the stream has ended; nil while it has not.
func (s *seen) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
