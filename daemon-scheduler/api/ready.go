package api

import (
	"context"
	"net/http"

	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func (h *handler) ping(w http.ResponseWriter, _ *http.Request) error {
	nothing(w)
	return nil
}

// ready tells whether etcd answers and the copy of the clusters can be relied on. Who leads does not matter for it.
func (h *handler) ready(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	reasons := append([]string{}, h.NotReady()...)
	leader, err := h.Store.Leader(ctx)
	if err != nil {
		reasons = append(reasons, "etcd does not answer")
	}
	ready, status := len(reasons) == 0, http.StatusOK
	if !ready {
		status = http.StatusServiceUnavailable
	}
	httpserver.JSON(w, status, models.Readiness{Ready: &ready, Leader: &leader, Reasons: reasons})
	return nil
}
