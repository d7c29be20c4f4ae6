package api

import (
	"context"
	"net/http"

	"github.com/blox/blox/internal/httpserver"
)

func (h *handler) ping(w http.ResponseWriter, _ *http.Request) error {
	nothing(w)
	return nil
}

// ready tells whether etcd answers and the copy of the clusters can be relied on. Who leads does not matter for it.
func (h *handler) ready(w http.ResponseWriter, r *http.Request) error {
	leader, reasons := Ready(r.Context(), h.Store, h.NotReady)
	status := http.StatusOK
	if len(reasons) > 0 {
		status = http.StatusServiceUnavailable
	}
	httpserver.JSON(w, status, showReadiness(h.Replica, leader, reasons))
	return nil
}

// Ready tells who leads, and why this replica cannot be relied on; no reasons when it can.
func Ready(ctx context.Context, store interface {
	Leader(context.Context) (string, error)
}, notReady func() []string,
) (leader string, reasons []string) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	reasons = append(reasons, notReady()...)
	leader, err := store.Leader(ctx)
	if err != nil {
		reasons = append(reasons, "etcd does not answer")
	}
	return leader, reasons
}
