package robustness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/blox/blox/internal/ecssim"
)

// simulator is the control API of the ecs-sim process, which holds the truth.
type simulator struct {
	client *http.Client
	url    string
}

// ask calls the control API; the answer is decoded into into unless that is nil.
func (s *simulator) ask(ctx context.Context, method, path string, query url.Values, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second) // it may be paused
	defer cancel()
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, s.url+"/_sim/"+path+"?"+query.Encode(), sent)
	if err != nil {
		return err
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %d: %s", method, path, answer.StatusCode, bytes.TrimSpace(text))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

func (s *simulator) post(ctx context.Context, path string, query url.Values) error {
	return s.ask(ctx, http.MethodPost, path, query, nil, nil)
}

func (s *simulator) state(ctx context.Context) (state ecssim.State, err error) {
	return state, s.ask(ctx, http.MethodGet, "state", nil, nil, &state)
}

func (s *simulator) counters(ctx context.Context) (c ecssim.Counters, err error) {
	return c, s.ask(ctx, http.MethodGet, "counters", nil, nil, &c)
}

func (s *simulator) setFaults(ctx context.Context, f ecssim.Faults) error {
	return s.ask(ctx, http.MethodPut, "faults", nil, f, nil)
}

// definition registers the next revision of a family and returns its ARN.
func (s *simulator) definition(ctx context.Context, family string) (string, error) {
	var made struct{ TaskDefinition string }
	err := s.ask(ctx, http.MethodPost, "task-definitions", url.Values{"family": {family}, "cpu": {"16"}, "memory": {"16"}}, nil, &made)
	return made.TaskDefinition, err
}
