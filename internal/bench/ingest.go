package bench

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/blox/blox/internal/backoff"
)

// ingestEvents is how many events are in the queue before a run: four versions of each task.
const ingestEvents = 24_000

// throttledEvents is ingestEvents for the runs in which SQS rejects receives.
const throttledEvents = 3000

// measureIngest measures how quickly cluster-state-service empties a queue. The baseline is a loop with as many pollers
// that only receives and deletes.
func measureIngest(ctx context.Context, cfg config, t *table) error {
	s, err := newSystem(ctx, cfg)
	if err != nil {
		return err
	}
	defer s.close()
	var samples, bound, beside []sample
	for run := range cfg.runs {
		events := lifecycleEvents(run*ingestEvents, ingestEvents)
		var rates [3]float64 // of the loop that receives and deletes, of that which puts, too, and of the service
		for n, measure := range []func(context.Context) (float64, error){s.receiveBaseline, s.putBaseline, s.ingestRate} {
			if rates[n], err = s.consume(ctx, events, measure); err != nil {
				return err
			}
		}
		samples = append(samples, sample{rates[2], rates[0]})
		bound = append(bound, sample{rates[1], rates[0]})
		beside = append(beside, sample{rates[2], rates[1]})
	}
	t.add("ingest", fmt.Sprintf("events from SQS into etcd, %d pollers", cfg.pollers), "events/s", samples,
		atLeast("8000 events/s", 8000), ratioAtLeast(0.4))
	t.add("ingest", "a loop that puts bodies into etcd unread", "events/s", bound)
	t.add("ingest", "the service beside that loop", "events/s", beside, ratioAtLeast(0.5))
	return s.measureThrottledIngest(ctx, cfg, t)
}

// measureThrottledIngest measures how quickly the queue empties while SQS rejects half of the receives. Calls take
// 20 ms. The baseline is the same without rejections.
func (s *system) measureThrottledIngest(ctx context.Context, cfg config, t *table) error {
	var samples []sample
	for run := range cfg.runs {
		var rates [2]float64
		for n, faults := range []string{
			`{"latency":{"sqs":"20ms"}}`, `{"latency":{"sqs":"20ms"},"throttle":{"ReceiveMessage":0.5}}`,
		} {
			events := lifecycleEvents((cfg.runs+2*run+n)*ingestEvents, throttledEvents)
			rate, err := s.consume(ctx, events, func(ctx context.Context) (float64, error) {
				if err := s.simulator(ctx, http.MethodPut, "faults", faults, nil); err != nil {
					return 0, err
				}
				return s.ingestRate(ctx)
			})
			if err != nil {
				return err
			}
			if err := s.simulator(ctx, http.MethodPut, "faults", `{}`, nil); err != nil {
				return err
			}
			rates[n] = rate
		}
		samples = append(samples, sample{rates[1], rates[0]})
	}
	t.add("ingest", "the same while SQS rejects half of the receives, calls of 20 ms", "events/s", samples,
		ratioAtLeast(0.33))
	return nil
}

// consume sends events and measures the rate at which they are consumed. It purges the rest.
func (s *system) consume(
	ctx context.Context, events []string, measure func(context.Context) (float64, error),
) (float64, error) {
	if err := s.sendEvents(ctx, events); err != nil {
		return 0, err
	}
	rate, err := measure(ctx)
	if err != nil {
		return 0, err
	}
	backoff.Sleep(ctx, 100*time.Millisecond) // the simulator ends the long polls of clients that have gone
	return rate, s.purgeQueue(ctx)
}

func (s *system) ingestRate(ctx context.Context) (float64, error) {
	css, err := s.launchClusterState()
	if err != nil {
		return 0, err
	}
	defer css.stop()
	rate, err := s.drainRate(ctx)
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, css.Output())
	}
	return rate, nil
}

// drainRate returns the rate at which the queue empties, in messages per second.
func (s *system) drainRate(ctx context.Context) (float64, error) {
	all, err := s.queueLength(ctx)
	if err != nil {
		return 0, err
	}
	return middleRate(ctx, all, 10*time.Millisecond, func() (int, error) {
		left, err := s.queueLength(ctx)
		if err != nil {
			return 0, err
		}
		return all - left, nil
	})
}
