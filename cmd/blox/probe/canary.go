// Package probe checks a running Blox from end to end: it asks both services what they know, has an environment of its own
// deployed, sees its tasks run and follows them in the stream, and takes all of it away again.
package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blox/blox/cmd/blox/connect"
)

// Config says what is checked.
type Config struct {
	Clients *connect.Clients
	// Name is the environment's. One that another has made is never touched; two canaries need two names.
	Name string
	// Cluster is a name or an ARN; all clusters when empty, which only ReadOnly allows.
	Cluster        string
	TaskDefinition string // as environments take it
	Query          string // which instances; all when empty
	ReadOnly       bool   // nothing is created or started
	// Wait is how long each step may take that waits for something to come about, such as all tasks running.
	Wait time.Duration
	// Freshness is how much later than daemon-scheduler the stream may show that a task runs.
	Freshness time.Duration
}

// Report tells of one run.
type Report struct {
	StartedAt time.Time `json:"startedAt"`
	Seconds   float64   `json:"seconds"`
	Healthy   bool      `json:"healthy"`
	Steps     []Step    `json:"steps"`
}

// Step is one thing that was checked. Those that another's failure leaves without meaning are not in a report.
type Step struct {
	Name    string  `json:"step"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"` // empty when all is well
}

// Failed is the steps that failed.
func (r Report) Failed() (failed []Step) {
	for _, s := range r.Steps {
		if s.Error != "" {
			failed = append(failed, s)
		}
	}
	return failed
}

// The steps, in their order.
const (
	StatePing      = "state_ping"
	StateReady     = "state_ready"
	StateList      = "state_list"
	StateGet       = "state_get"
	StateStream    = "state_stream" // a stream begins and shows that it is alive
	SchedulerPing  = "scheduler_ping"
	SchedulerReady = "scheduler_ready"
	SchedulerList  = "scheduler_list"
	Cleanup        = "cleanup" // of what an earlier run has left
	Create         = "create"
	Deploy         = "deploy"
	Running        = "running" // on every instance
	StateShows     = "state_shows"
	Stream         = "stream" // has shown each task RUNNING
	Delete         = "delete"
	Gone           = "gone" // the environment and its tasks
)

// Steps are the steps of a run.
func Steps(readOnly bool) []string {
	reading := []string{StatePing, StateReady, StateList, StateGet, StateStream, SchedulerPing, SchedulerReady, SchedulerList}
	if readOnly {
		return reading
	}
	return append(reading, Cleanup, Create, Deploy, Running, StateShows, Stream, Delete, Gone)
}

const (
	between   = 250 * time.Millisecond // two looks at what is waited for
	afterward = 30 * time.Second       // to delete the environment of a run that failed or was interrupted
)

// Run checks once. The error is ctx's: a run that was cut short says nothing about Blox. What was made is deleted in any case, if
// Blox can be reached.
func Run(ctx context.Context, cfg Config) (Report, error) {
	r := &run{Config: cfg, report: Report{StartedAt: time.Now().UTC()}}
	state, scheduler := r.state(ctx), r.scheduler(ctx)
	if state && scheduler && !cfg.ReadOnly {
		r.deployment(ctx)
	}
	r.report.Seconds = time.Since(r.report.StartedAt).Seconds()
	r.report.Healthy = len(r.report.Failed()) == 0
	return r.report, ctx.Err()
}

// run is a run that is under way.
type run struct {
	Config
	report Report
}

// all takes steps until one fails, and tells whether none did.
func (r *run) all(ctx context.Context, steps ...step) bool {
	for _, s := range steps {
		started := time.Now()
		err := s.do(ctx)
		if ctx.Err() != nil {
			return false
		}
		told := Step{Name: s.name, Seconds: time.Since(started).Seconds()}
		if err != nil {
			told.Error = summary(err)
		}
		r.report.Steps = append(r.report.Steps, told)
		if err != nil {
			return false
		}
	}
	return true
}

type step struct {
	name string
	do   func(context.Context) error
}

// summary is what was wrong, without the advice that follows it.
func summary(err error) string {
	var call *connect.CallError
	if errors.As(err, &call) {
		return call.Summary()
	}
	return err.Error()
}

// await asks until done, for at most within; what was asked last says what is still missing.
func await(ctx context.Context, within time.Duration, done func(context.Context) (missing string, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(between)
	defer tick.Stop()
	missing := "nothing was answered"
	for {
		now, err := done(ctx)
		switch {
		case err == nil && now == "":
			return nil
		case err == nil:
			missing = now
		case ctx.Err() == nil && !connect.Temporary(err):
			return err
		case ctx.Err() == nil:
			missing = summary(err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %s", within, missing)
		case <-tick.C:
		}
	}
}
