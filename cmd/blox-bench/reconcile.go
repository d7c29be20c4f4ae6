package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// reconcile measures the first comparison with an ECS that answers after 20 ms, beside the time that the calls it makes take
// within the budget of calls alone.
func reconcile(ctx context.Context, cfg config, t *table) error {
	const clusters, tasks, budget, burst = 100, 5, 10.0, 50.0 // the last two: cluster-state-service/reconcile
	args := []string{"--instances", "10"}
	for n := range clusters {
		args = append(args, "--cluster", clusterName(n))
	}
	w, err := newWorld(ctx, cfg, args...)
	if err != nil {
		return err
	}
	defer w.close()
	for n := range clusters * tasks {
		if err := w.control(http.MethodPost, "tasks/fargate?family=agent&cluster="+clusterName(n%clusters), "", nil); err != nil {
			return err
		}
	}
	if _, err := w.sqs.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: w.queueURL}); err != nil { // it is ECS that is to tell
		return err
	}
	if err := w.control(http.MethodPut, "faults", `{"latency":{"ecs":"20ms"},"events":{}}`, nil); err != nil {
		return err
	}
	s, err := w.service()
	if err != nil {
		return err
	}
	s.stop()
	var counters struct{ Calls map[string]map[string]int }
	if err := w.control(http.MethodGet, "counters", "", &counters); err != nil {
		return err
	}
	calls := 0
	for action, outcomes := range counters.Calls {
		for _, n := range outcomes {
			if !strings.Contains(action, "Message") && !strings.Contains(action, "Queue") {
				calls += n
			}
		}
	}
	t.add(row{"reconcile", fmt.Sprintf("100 clusters, 1,000 instances, 500 tasks, calls of 20 ms: start to ready; %d calls at %.0f/s", calls, budget),
		"s", []pair{{s.readyAfter.Seconds(), (float64(calls) - burst) / budget}}, nil})
	return nil
}

// control uses the simulator's own API.
func (w *world) control(method, path, body string, into any) error {
	return w.ask(method, w.awsURL+"/_sim/"+path, body, into)
}

// ask sends a request and reads the JSON of its answer, which has to be 200, into a value, unless that is nil.
func (w *world) ask(method, url, body string, into any) error {
	request, err := http.NewRequestWithContext(w.ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, url, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}
