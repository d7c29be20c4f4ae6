package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/go-openapi/swag/conv"

	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// taskStream collects which tasks a stream reported as RUNNING.
type taskStream struct {
	mu      sync.Mutex
	partial []byte // start of a line whose end has not arrived
	lines   int
	running map[string]map[string]bool // by startedBy, then by task ARN
	err     error                      // why the stream ended; nil while it is open
}

// openTaskStream streams the cluster's tasks until the caller calls stop. It starts at version, or now if it is nil.
func (r *run) openTaskStream(ctx context.Context, version *string) (s *taskStream, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	s = &taskStream{running: map[string]map[string]bool{}}
	params := css.NewStreamTasksParams().WithEntityVersion(version).WithHeartbeat(conv.Pointer(int32(1)))
	if r.Cluster != "" {
		params.WithCluster(&r.Cluster)
	}
	var reader sync.WaitGroup
	reader.Go(func() {
		_, err := r.Clients.State.StreamTasksContext(ctx, params, s)
		if err == nil {
			err = errors.New("the stream ended")
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.err = err
	})
	return s, func() { cancel(); reader.Wait() }
}

// Write implements io.Writer for the generated client, which copies the body here in chunks of any size.
func (s *taskStream) Write(chunk []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partial = append(s.partial, chunk...)
	for {
		line, rest, complete := bytes.Cut(s.partial, []byte("\n"))
		if !complete {
			return len(chunk), nil
		}
		if err := s.add(line); err != nil {
			return 0, err
		}
		s.partial = rest
	}
}

func (s *taskStream) add(line []byte) error {
	var change struct {
		models.Task
		Error string `json:"error"`
	}
	if err := json.Unmarshal(line, &change); err != nil {
		return fmt.Errorf("decode a line of the stream: %w", err)
	}
	if change.Error != "" {
		return errors.New(change.Error)
	}
	s.lines++
	if e := change.Entity; e != nil && e.StartedBy != "" && *e.LastStatus == "RUNNING" {
		if s.running[e.StartedBy] == nil {
			s.running[e.StartedBy] = map[string]bool{}
		}
		s.running[e.StartedBy][*e.TaskARN] = true
	}
	return nil
}

// active reports whether a line arrived. The service sends a heartbeat every second.
func (s *taskStream) active() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines > 0
}

// reportedRunning reports whether the stream contained the task as RUNNING.
func (s *taskStream) reportedRunning(startedBy, task string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running[startedBy][task]
}

// failure returns why the stream ended; nil while it is open.
func (s *taskStream) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
