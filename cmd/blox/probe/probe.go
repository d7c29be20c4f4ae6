// Package probe checks a running Blox from end to end. It queries both services, creates and deploys an environment of
// its own, awaits its tasks in lists and in the stream, and deletes the environment with its tasks.
package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blox/blox/cmd/blox/connect"
)

// Config configures a run.
type Config struct {
	Clients *connect.Clients
	// Name is the name of the probe's environment. Two probes need two names. The probe never changes an environment
	// that it did not create.
	Name string
	// Cluster is a name or an ARN. It may be empty, for all clusters, with ReadOnly only.
	Cluster        string
	TaskDefinition string // family, family:revision or ARN
	Query          string // selects container instances, in the cluster query language; empty selects all
	ReadOnly       bool   // create and start nothing
	// StepTimeout limits each step that awaits a condition, such as all tasks RUNNING.
	StepTimeout time.Duration
	// StreamDelay is how long after daemon-scheduler the stream may report a task as RUNNING.
	StreamDelay time.Duration
}

// Report is the result of one run.
type Report struct {
	StartedAt time.Time `json:"startedAt"`
	Seconds   float64   `json:"seconds"`
	Healthy   bool      `json:"healthy"`
	Steps     []Step    `json:"steps"`
}

// Step is the result of one check. A report omits the steps that a failure made impossible.
type Step struct {
	Name    string  `json:"step"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"` // empty if the step succeeded
}

// Failed returns the steps that failed.
func (r Report) Failed() (failed []Step) {
	for _, s := range r.Steps {
		if s.Error != "" {
			failed = append(failed, s)
		}
	}
	return failed
}

// The steps of a run, in order. CSS is cluster-state-service, DS is daemon-scheduler.
const (
	CSSPing         = "css_ping"
	CSSReady        = "css_ready"
	CSSList         = "css_list"
	CSSGet          = "css_get"
	CSSStream       = "css_stream" // a stream starts and sends a heartbeat
	DSPing          = "ds_ping"
	DSReady         = "ds_ready"
	DSList          = "ds_list"
	Cleanup         = "cleanup" // delete what an earlier run left behind
	Create          = "create"
	Deploy          = "deploy"
	AwaitRunning    = "await_running"     // on every selected instance
	CSSListsTasks   = "css_lists_tasks"   // CSS lists the tasks as RUNNING
	CSSStreamsTasks = "css_streams_tasks" // the stream reported each task as RUNNING
	Delete          = "delete"
	AwaitDeleted    = "await_deleted" // the environment and its tasks
)

// Steps returns the names of a run's steps, in order.
func Steps(readOnly bool) []string {
	reads := []string{CSSPing, CSSReady, CSSList, CSSGet, CSSStream, DSPing, DSReady, DSList}
	if readOnly {
		return reads
	}
	return append(reads, Cleanup, Create, Deploy, AwaitRunning, CSSListsTasks, CSSStreamsTasks, Delete, AwaitDeleted)
}

const (
	pollInterval   = 250 * time.Millisecond
	cleanupTimeout = 30 * time.Second // to delete the environment of a run that failed or was interrupted
)

// Run performs one run. It returns an error only if ctx ended: an interrupted run proves nothing about Blox. Run
// deletes what it created in any case, unless Blox cannot be reached.
func Run(ctx context.Context, cfg Config) (Report, error) {
	r := &run{Config: cfg, report: Report{StartedAt: time.Now().UTC()}}
	cssHealthy := r.checkCSS(ctx)
	dsHealthy := r.checkDS(ctx)
	if cssHealthy && dsHealthy && !cfg.ReadOnly {
		r.checkDeployment(ctx)
	}
	r.report.Seconds = time.Since(r.report.StartedAt).Seconds()
	r.report.Healthy = len(r.report.Failed()) == 0
	return r.report, ctx.Err()
}

// run is a run in progress.
type run struct {
	Config
	report Report
}

type step struct {
	name string
	do   func(context.Context) error
}

// perform performs steps until one fails, and reports whether all succeeded.
func (r *run) perform(ctx context.Context, steps ...step) bool {
	for _, s := range steps {
		started := time.Now()
		err := s.do(ctx)
		if ctx.Err() != nil {
			return false
		}
		result := Step{Name: s.name, Seconds: time.Since(started).Seconds()}
		if err != nil {
			result.Error = summary(err)
		}
		r.report.Steps = append(r.report.Steps, result)
		if err != nil {
			return false
		}
	}
	return true
}

// summary returns err without the advice that connect adds for people at a terminal.
func summary(err error) string {
	var call *connect.CallError
	if errors.As(err, &call) {
		return call.Summary()
	}
	return err.Error()
}

// await polls until met reports no missing condition, for at most timeout. It retries temporary errors. On a timeout,
// its error names the condition that was missing last.
func await(ctx context.Context, timeout time.Duration, met func(context.Context) (missing string, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	missing := "no response"
	for {
		now, err := met(ctx)
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
			return fmt.Errorf("timed out after %s: %s", timeout, missing)
		case <-tick.C:
		}
	}
}
