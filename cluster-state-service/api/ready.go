package api

import (
	"context"
	"net/http"
	"time"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/version"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// readyTimeout bounds the wait for etcd: a health check needs a prompt answer.
const readyTimeout = time.Second

func ping(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", httpserver.ContentTypeJSON)
}

// ready returns 200 if the service can do its work, else 503 with the reasons. A source that fails while others work is
// a warning: a load balancer must not take away the others' clusters.
func (a *api) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	readiness := a.readiness(ctx)
	ready := len(readiness.reasons) == 0
	status := http.StatusOK
	if !ready {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	answer := models.Readiness{
		Leader: &readiness.leader, Ready: &ready, Reasons: readiness.reasons, Warnings: readiness.warnings,
		Version: version.String(),
	}
	if progress := a.progress(); !progress.ReceivedAt.IsZero() {
		answer.ReceivedAt = state.Timestamp(progress.ReceivedAt)
		if !progress.NewestEventAt.IsZero() {
			answer.NewestEventAt = state.Timestamp(progress.NewestEventAt)
		}
	}
	httpserver.JSON(w, status, answer)
}

// readiness is what /v1/ready shows.
type readiness struct {
	leader   string   // replica that reconciles the first source
	reasons  []string // why the service is not ready; never nil
	warnings []string // about sources that fail while others work
}

func (a *api) readiness(ctx context.Context) readiness {
	r := readiness{reasons: []string{}}
	s, err := a.cache.WaitCurrent(ctx)
	if err != nil {
		r.reasons = append(r.reasons, "etcd does not respond")
		s = a.cache.Snapshot()
	}
	if s == nil {
		r.reasons = append(r.reasons, "the state is not loaded from etcd yet")
	} else {
		sources := s.Reconciliations.Resolve(a.sources())
		r.addSources(s.Reconciliations, sources)
		r.leader = s.Leader(sources[0].Region) // a service has one source at least
	}
	r.addQueues(a.queueProblems())
	if a.outOfSpace(ctx) {
		r.reasons = append(r.reasons, "etcd is out of space; events wait in the queue until space is freed")
	}
	return r
}

// addSources adds the sources that were not reconciled. Those for which lists do not wait are reasons only if there is
// no other source.
func (r *readiness) addSources(reconciliations *cache.Reconciliations, sources []state.Source) {
	var waiting, failing []string
	for _, s := range sources {
		record := reconciliations.OfRegion(s.Region)
		text := "not yet reconciled with ECS"
		if len(sources) > 1 {
			text = "source " + s.Label + ": " + text
		}
		switch {
		case record.FinishedAt.IsZero() && record.Error == "" && s.Awaited:
			waiting = append(waiting, text)
		case record.FinishedAt.IsZero() && record.Error == "":
			failing = append(failing, text)
		case record.FinishedAt.IsZero() && len(sources) == 1:
			failing = append(failing, text)
		case record.FinishedAt.IsZero():
			failing = append(failing, text+": "+record.Error)
		case record.Error != "":
			r.warnings = append(r.warnings, "source "+s.Label+": cannot be reconciled with ECS: "+record.Error)
		}
	}
	r.reasons = append(r.reasons, waiting...)
	if len(waiting)+len(failing) == len(sources) {
		r.reasons = append(r.reasons, failing...)
	} else {
		r.warnings = append(r.warnings, failing...)
	}
}

// addQueues adds the queues that cannot be read. They are reasons if no other queue can be.
func (r *readiness) addQueues(queues []state.QueueProblem) {
	var problems []string
	for _, q := range queues {
		if q.Text != "" && len(queues) > 1 {
			q.Text = "source " + q.Source + ": " + q.Text
		}
		if q.Text != "" {
			problems = append(problems, q.Text)
		}
	}
	if len(problems) == len(queues) {
		r.reasons = append(r.reasons, problems...)
	} else {
		r.warnings = append(r.warnings, problems...)
	}
}
