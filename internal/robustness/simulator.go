package robustness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/blox/blox/internal/ecssim"
)

const simulatorTimeout = 20 * time.Second // long, because a fault may pause the process

// simulator is a client of the control API of ecs-sim, whose state is the truth that the checks compare with.
type simulator struct {
	client *http.Client
	url    string
	places []place
	at     place // of requests without an ARN
}

// in returns a client whose requests without an ARN concern the place.
func (s *simulator) in(p place) *simulator {
	c := *s
	c.at = p
	return &c
}

// call sends a request to the control API and decodes the response into result unless that is nil. A request with an
// ARN concerns the account and region of the ARN.
func (s *simulator) call(ctx context.Context, method, path string, query url.Values, body, result any) error {
	ctx, cancel := context.WithTimeout(ctx, simulatorTimeout)
	defer cancel()
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(text)
	}
	query = s.addressed(query)
	request, err := http.NewRequestWithContext(ctx, method, s.url+"/_sim/"+path+"?"+query.Encode(), reader)
	if err != nil {
		return err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %d: %s", method, path, response.StatusCode, bytes.TrimSpace(text))
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(text, result)
}

// addressed returns the parameters with the account and region that the request concerns.
func (s *simulator) addressed(query url.Values) url.Values {
	to := s.at
	for _, values := range query {
		if p, found := placeOf(values[0]); found {
			to = p
		}
	}
	query = maps.Clone(query)
	if query == nil {
		query = url.Values{}
	}
	query.Set("account", to.account)
	query.Set("region", to.region)
	return query
}

func (s *simulator) ping(ctx context.Context) error {
	return s.call(ctx, http.MethodGet, "ping", nil, nil, nil)
}

func (s *simulator) post(ctx context.Context, path string, query url.Values) error {
	return s.call(ctx, http.MethodPost, path, query, nil, nil)
}

// state returns the instances and tasks of all places.
func (s *simulator) state(ctx context.Context) (all ecssim.State, err error) {
	for _, p := range s.places {
		var state ecssim.State
		if err := s.in(p).call(ctx, http.MethodGet, "state", nil, nil, &state); err != nil {
			return all, err
		}
		all.Instances = append(all.Instances, state.Instances...)
		all.Tasks = append(all.Tasks, state.Tasks...)
	}
	return all, nil
}

// clusterState returns the state of one cluster, given by ARN.
func (s *simulator) clusterState(ctx context.Context, cluster string) (state ecssim.State, err error) {
	return state, s.call(ctx, http.MethodGet, "state", url.Values{"cluster": {cluster}}, nil, &state)
}

// queued returns the number of messages in the queues of all places, including those in flight.
func (s *simulator) queued(ctx context.Context) (n int, err error) {
	for _, p := range s.places {
		state, err := s.clusterState(ctx, p.clusterARN("none")) // without the instances and tasks of any cluster
		if err != nil {
			return n, err
		}
		n += state.Queues[queueName]
	}
	return n, nil
}

// counters returns the counters of the simulator's place.
func (s *simulator) counters(ctx context.Context) (c ecssim.Counters, err error) {
	return c, s.call(ctx, http.MethodGet, "counters", nil, nil, &c)
}

// changes returns the changes after the one with the given number.
func (s *simulator) changes(ctx context.Context, after int) ([]ecssim.Change, error) {
	var response struct{ Changes []ecssim.Change }
	err := s.call(ctx, http.MethodGet, "changes", url.Values{"after": {strconv.Itoa(after)}}, nil, &response)
	return response.Changes, err
}

func (s *simulator) setFaults(ctx context.Context, f ecssim.Faults) error {
	return s.call(ctx, http.MethodPut, "faults", nil, f, nil)
}

// setDown makes a service, "ecs" or "sqs", answer 503 to every call, or ends that.
func (s *simulator) setDown(ctx context.Context, service string, down bool) error {
	return s.post(ctx, "services", url.Values{"service": {service}, "down": {fmt.Sprint(down)}})
}

// registerTaskDefinition registers the next revision of a family, with a container health check or without, and
// returns its ARN.
func (s *simulator) registerTaskDefinition(ctx context.Context, family string, healthCheck bool) (string, error) {
	var registered struct{ TaskDefinition string }
	query := url.Values{
		"family": {family}, "cpu": {"16"}, "memory": {"16"}, "healthCheck": {strconv.FormatBool(healthCheck)},
	}
	err := s.call(ctx, http.MethodPost, "task-definitions", query, nil, &registered)
	return registered.TaskDefinition, err
}
