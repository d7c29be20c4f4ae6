package api

import (
	"context"
	"net/http"
	"time"

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

// ready returns 200 if the service can do its work, else 503 with the reasons.
func (a *api) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	leader, reasons := a.readiness(ctx)
	ready := len(reasons) == 0
	status := http.StatusOK
	if !ready {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	answer := models.Readiness{Leader: &leader, Ready: &ready, Reasons: reasons, Version: version.String()}
	if progress := a.progress(); !progress.ReceivedAt.IsZero() {
		answer.ReceivedAt = state.Timestamp(progress.ReceivedAt)
		if !progress.NewestEventAt.IsZero() {
			answer.NewestEventAt = state.Timestamp(progress.NewestEventAt)
		}
	}
	httpserver.JSON(w, status, answer)
}

// readiness returns the replica that reconciles and the reasons why the service is not ready. reasons is never nil.
func (a *api) readiness(ctx context.Context) (leader string, reasons []string) {
	reasons = []string{}
	s, err := a.cache.WaitCurrent(ctx)
	if err != nil {
		reasons = append(reasons, "etcd does not respond")
		s = a.cache.Snapshot()
	}
	switch {
	case s == nil:
		reasons = append(reasons, "the state is not loaded from etcd yet")
	case s.Reconciliations.At(a.region()).IsZero():
		reasons = append(reasons, "not yet reconciled with ECS")
	}
	if s != nil {
		leader = s.Leader(a.region())
	}
	if problem := a.queueProblem(); problem != "" {
		reasons = append(reasons, problem)
	}
	if a.outOfSpace(ctx) {
		reasons = append(reasons, "etcd is out of space; events wait in the queue until space is freed")
	}
	return leader, reasons
}
