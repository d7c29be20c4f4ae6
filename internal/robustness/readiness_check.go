package robustness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/harness"
)

const (
	promiseReady  = "readiness equals the ability to serve"
	readyInterval = 250 * time.Millisecond // between two requests for the readiness of a service
	// A service reports etcd's failure with the next request, which waits for etcd for a second. It reports that of the
	// queue, and daemon-scheduler that of cluster-state-service, after 30 s.
	etcdLimit, sourceLimit = time.Second, 30 * time.Second
	// readyMargin is what a busy machine and the interval add to a limit. The services read the queue at intervals of up
	// to 5 s and a stream at intervals of up to 10 s while it fails, so they report its return after that.
	readyMargin, readyReturn = 5 * time.Second, 20 * time.Second
)

// readinessCheck requests the readiness of every service.
type readinessCheck struct {
	*system
	kinesis bool

	mu       sync.Mutex
	noQuorum time.Time         // since when most of etcd's members do not run; zero if they do
	ready    map[string]bool   // the latest response, by service
	reasons  map[string]string // of the latest response, by service
}

func newReadinessCheck(s *system, cfg config) *readinessCheck {
	return &readinessCheck{system: s, kinesis: cfg.kinesis, ready: map[string]bool{}, reasons: map[string]string{}}
}

// run requests until ctx ends. A response of 200 while etcd has no quorum is a violation.
func (c *readinessCheck) run(ctx context.Context) {
	var polling sync.WaitGroup
	defer polling.Wait()
	polling.Go(func() {
		for backoff.Sleep(ctx, readyInterval/5) {
			c.setQuorum(c.hasQuorum(), time.Now())
		}
	})
	for _, name := range serviceNames {
		polling.Go(func() {
			for backoff.Sleep(ctx, readyInterval) {
				c.poll(ctx, name)
			}
		})
	}
}

// hasQuorum reports whether most of etcd's members run.
func (c *readinessCheck) hasQuorum() bool {
	running := 0
	for _, name := range etcdNames {
		select {
		case <-c.processes[name].Done():
		default:
			running++
		}
	}
	return running > etcdMembers/2
}

func (c *readinessCheck) setQuorum(has bool, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case has:
		c.noQuorum = time.Time{}
	case c.noQuorum.IsZero():
		c.noQuorum = now
	}
}

// poll requests the readiness of a service.
func (c *readinessCheck) poll(ctx context.Context, name string) {
	c.mu.Lock()
	lost := c.noQuorum
	c.mu.Unlock()
	sent := time.Now()
	r, err := c.get(ctx, c.addresses[name], "/v1/ready")
	if err != nil {
		r.status = 0
	}
	var body struct{ Reasons []string }
	_ = json.Unmarshal(r.body, &body) // the reasons are for people
	c.receive(name, lost, sent, r.status, strings.Join(body.Reasons, "; "))
}

// receive judges a response to a request that was sent when etcd had lacked its quorum since a time; zero if it had it.
func (c *readinessCheck) receive(name string, lost, sent time.Time, status int, reasons string) {
	c.mu.Lock()
	still := !lost.IsZero() && c.noQuorum.Equal(lost)
	c.ready[name], c.reasons[name] = status == http.StatusOK, reasons
	c.mu.Unlock()
	if still && sent.Sub(lost) > etcdLimit && status == http.StatusOK {
		c.history.violation(promiseReady, "%s is ready, but etcd has had no quorum for %s", name,
			time.Since(lost).Round(time.Millisecond))
	}
	c.history.count(fmt.Sprintf("responses of /v1/ready: %d", status), 1)
}

// readyServices returns the services whose latest response was 200, sorted.
func (c *readinessCheck) readyServices() (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, ready := range c.ready {
		if ready {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// failure is a dependency that fails for longer than readiness permits.
type failure struct {
	name       string
	begin, end func(context.Context) error
	limit      time.Duration // after which every service is not ready
}

// failures lists the dependencies that readiness covers.
func (c *readinessCheck) failures() []failure {
	source := "sqs"
	if c.kinesis {
		source = "kinesis"
	}
	return []failure{
		{
			name: "the queue, and cluster-state-service for daemon-scheduler", limit: sourceLimit,
			begin: func(ctx context.Context) error {
				return c.setSources(ctx, source, true)
			},
			end: func(ctx context.Context) error {
				return c.setSources(ctx, source, false)
			},
		},
		{
			name: "etcd", limit: etcdLimit,
			begin: func(context.Context) error {
				for _, member := range etcdNames[1:] {
					c.processes[member].Kill()
				}
				return nil
			},
			end: func(context.Context) error { return c.restore() },
		},
	}
}

// setSources makes the source of events fail in every place and disconnects daemon-scheduler from
// cluster-state-service, or ends both.
func (c *readinessCheck) setSources(ctx context.Context, source string, fail bool) (failed error) {
	for _, scheduler := range schedulerNames {
		for n := range replicas {
			for _, p := range c.proxies[fmt.Sprintf("%s>css-%d", scheduler, n)] {
				p.SetDisconnected(fail)
			}
		}
	}
	for _, p := range c.places {
		failed = errors.Join(failed, c.sim.in(p).setDown(ctx, source, fail))
	}
	return failed
}

// checkFailures lets each dependency fail for longer than its limit. Its services stay ready until shortly before the
// limit, are not ready after it, and are ready again after the end.
func (c *readinessCheck) checkFailures(ctx context.Context) error {
	for _, f := range c.failures() {
		if err := c.checkFailure(ctx, f); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

func (c *readinessCheck) checkFailure(ctx context.Context, f failure) error {
	began := time.Now()
	if err := f.begin(ctx); err != nil {
		return err
	}
	if early := f.limit - readyMargin; early > 0 {
		backoff.Sleep(ctx, early-time.Since(began))
		c.expectReady("fails, shortly before its limit", f)
	}
	err := harness.Await(ctx, f.limit+readyMargin-time.Since(began), "services that are not ready", func() error {
		if names := c.readyServices(); len(names) > 0 {
			return fmt.Errorf("still ready: %v", names)
		}
		return nil
	})
	c.history.printf("%s failed for %s", f.name, time.Since(began).Round(100*time.Millisecond))
	if err != nil && ctx.Err() == nil {
		c.history.violation(promiseReady, "%s fails: %s", f.name, err)
	}
	if err := f.end(ctx); err != nil {
		return err
	}
	ended := time.Now()
	err = harness.Await(ctx, readyReturn, "ready services", func() error {
		if names := c.readyServices(); !slices.Equal(names, serviceNames) {
			return fmt.Errorf("only %v are ready: %v", names, c.lastReasons())
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		c.history.violation(promiseReady, "%s works again: %s", f.name, err)
	}
	c.history.printf("ready %s later", time.Since(ended).Round(100*time.Millisecond))
	return ctx.Err()
}

func (c *readinessCheck) expectReady(when string, f failure) {
	if names := c.readyServices(); !slices.Equal(names, serviceNames) {
		c.history.violation(promiseReady, "%s %s: only %v are ready: %v", f.name, when, names, c.lastReasons())
	}
}

func (c *readinessCheck) lastReasons() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	reasons := map[string]string{}
	for name, text := range c.reasons {
		if text != "" {
			reasons[name] = text
		}
	}
	return reasons
}
