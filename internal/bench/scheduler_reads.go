package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/backoff"
)

const (
	readSection      = "scheduler-reads"
	readEnvironments = 50
	readInstances    = 5000 // of each environment; all are in one cluster
	followers        = 100
	followedChanges  = 20
	changeInterval   = 500 * time.Millisecond // longer than the pause between two lines of an environment
)

// measureSchedulerReads measures what reads of daemon-scheduler cost: GET /v1/environments, and streams of the overview
// while tasks change. The first environment has a task on each instance; the others are paused.
func measureSchedulerReads(ctx context.Context, cfg config, t *table) error {
	s, err := newSystem(ctx, cfg)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.registerTaskDefinition(ctx, "&cpu=64&memory=64"); err != nil {
		return err
	}
	instances, err := s.addInstances(ctx, "default", readInstances)
	if err != nil {
		return err
	}
	ds, err := s.startScheduler(ctx, "--change-rate", "1000", "--lookup-rate", "1000")
	if err != nil {
		return err
	}
	if err := ds.awaitInstances(ctx, readInstances); err != nil {
		return err
	}
	d, err := ds.deploy(ctx, "agent-0", "default")
	if err != nil {
		return err
	}
	if err := ds.awaitCompleted(ctx, d); err != nil {
		return err
	}
	if err := s.storePaused(ctx, ds); err != nil {
		return err
	}
	if err := s.measureList(ctx, ds, t); err != nil {
		return err
	}
	return s.measureFollowers(ctx, ds, t, instances)
}

// storePaused writes paused environments, whose deployments the scheduler must not start.
func (s *system) storePaused(ctx context.Context, ds *scheduler) error {
	var first struct {
		InstanceGroup  struct{ Cluster string }
		TaskDefinition string
	}
	if err := request(ctx, http.MethodGet, ds.url+"/v1/environments/agent-0", "", &first); err != nil {
		return err
	}
	for n := 1; n < readEnvironments; n++ {
		name := "agent-" + strconv.Itoa(n)
		id := fmt.Sprintf("33333333-3333-4333-8333-%012d", n)
		e := environment.New(name, first.InstanceGroup.Cluster, first.TaskDefinition, id)
		e.Deployments[id] = environment.Deployment{
			ID: id, Status: environment.Running, TaskDefinition: first.TaskDefinition, Token: id, StartTime: time.Now(),
		}
		e.InProgressDeploymentID = id
		e.Paused = true
		record, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if _, err := s.etcd.Put(ctx, "ecs/environment/"+name, string(record)); err != nil {
			return err
		}
	}
	return ds.await(ctx, startTimeout, "all environments with their counts", func() (bool, error) {
		var list struct{ Items []struct{ DesiredCount int } }
		err := request(ctx, http.MethodGet, ds.url+"/v1/environments", "", &list)
		counted := 0
		for _, e := range list.Items {
			if e.DesiredCount == readInstances {
				counted++
			}
		}
		return counted == readEnvironments, err
	})
}

// measureList measures GET /v1/environments while nothing changes. The baseline is a handler that writes the same
// bytes.
func (s *system) measureList(ctx context.Context, ds *scheduler, t *table) error {
	const path = "/v1/environments"
	floor, err := s.startResponseBaseline(ctx, ds.service, "", path)
	if err != nil {
		return err
	}
	defer floor.stop()
	var latencies latencySamples
	for run := range s.cfg.runs + 1 {
		baseline, _, err := generateLoad(ctx, floor.url+path, 1, s.cfg.duration)
		if err != nil {
			return err
		}
		measured, _, err := generateLoad(ctx, ds.url+path, 1, s.cfg.duration)
		if err != nil {
			return err
		}
		if run > 0 { // the first one warms up
			latencies.add(measured, baseline)
		}
	}
	const name = "GET /v1/environments, 50 environments of 5,000 instances, 1 client: "
	t.add(readSection, name+"p50", "ms", latencies.p50, below("< 5 ms", 5))
	t.add(readSection, name+"p99", "ms", latencies.p99)
	return nil
}

// measureFollowers measures the CPU time of daemon-scheduler, which leads, for a change of a task while streams of the
// overview are open. The baseline is the CPU time for the same change without streams.
func (s *system) measureFollowers(ctx context.Context, ds *scheduler, t *table, instances []string) error {
	tasks, err := s.runningTasks(ctx, ds, len(instances))
	if err != nil {
		return err
	}
	var samples []sample
	for range s.cfg.runs {
		baseline, err := s.costOfChanges(ctx, ds, tasks)
		if err != nil {
			return err
		}
		streams := &idleSet{}
		if err := streams.dial(ctx, ds.url+"/v1/stream/overview", followers); err != nil {
			streams.close()
			return err
		}
		lines := streams.countLines()
		backoff.Sleep(ctx, time.Second) // until the streams have received all environments
		before := lines.Load()
		measured, err := s.costOfChanges(ctx, ds, tasks)
		received := lines.Load() - before
		streams.close()
		if err != nil {
			return err
		}
		if received < followers*followedChanges/2 { // lines of an environment may be merged
			return fmt.Errorf("%d streams received %d lines of %d changes", followers, received, followedChanges)
		}
		samples = append(samples, sample{measured, baseline})
	}
	t.add(readSection, "a task changes among 5,000, 50 environments, 100 streams of the overview: CPU time", "ms",
		samples, below("< 50 ms", 50))
	return nil
}

// costOfChanges changes one task after the other and returns the scheduler's CPU time for each change, in milliseconds.
func (s *system) costOfChanges(ctx context.Context, ds *scheduler, tasks *taskChanges) (float64, error) {
	cpu := ds.cpu()
	for range followedChanges {
		if err := s.sendBatch(ctx, []string{tasks.next()}); err != nil {
			return 0, err
		}
		if !backoff.Sleep(ctx, changeInterval) {
			return 0, ctx.Err()
		}
	}
	return (ds.cpu() - cpu) * 1000 / followedChanges, ds.checkRunning()
}

// countLines reads all streams to their ends. The counter counts the lines of environments.
func (s *idleSet) countLines() *atomic.Int64 {
	received := &atomic.Int64{}
	for _, c := range s.open {
		s.reading.Go(func() {
			lines := bufio.NewReader(httputil.NewChunkedReader(c.reader))
			for {
				line, err := lines.ReadBytes('\n')
				if bytes.Contains(line, []byte(`"runningCount"`)) {
					received.Add(1)
				}
				if err != nil {
					return
				}
			}
		})
	}
	return received
}

// taskChanges are the events of changes of running tasks: one task after the other becomes PENDING and RUNNING again.
type taskChanges struct {
	tasks   []startedTask
	changes int
}

// runningTasks waits until the simulator's count of tasks are RUNNING.
func (s *system) runningTasks(ctx context.Context, ds *scheduler, count int) (*taskChanges, error) {
	c := &taskChanges{}
	return c, ds.await(ctx, startTimeout, "running tasks", func() (bool, error) {
		tasks, err := s.startedTasks(ctx, "default")
		c.tasks = slices.DeleteFunc(tasks, func(t startedTask) bool { return t.LastStatus != "RUNNING" })
		return len(c.tasks) == count, err
	})
}

// next returns the event of the next change.
func (c *taskChanges) next() string {
	task := c.tasks[c.changes/2%len(c.tasks)]
	status := []string{"PENDING", "RUNNING"}[c.changes%2]
	c.changes++
	last := func(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
	return strings.NewReplacer(
		"{account}", strings.Split(task.ARN, ":")[4], "{cluster}", "default", "{task}", last(task.ARN),
		"{instance}", last(task.InstanceARN), "{status}", status, "{startedBy}", task.StartedBy,
		"{version}", strconv.Itoa(versionStep+c.changes), "agent:12", "agent:1",
	).Replace(taskEventTemplate)
}
